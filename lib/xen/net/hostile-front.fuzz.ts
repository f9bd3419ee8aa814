import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { headroom, type Page } from "@tesserae/device/page";
import { pageSize } from "../grant.ts";
import { BackRing, FrontRing } from "../ring.ts";
import { SimulatedForeignPages } from "../simulation/foreign-pages.ts";
import { SimulatedGrants } from "../simulation/grant-table.ts";
import { SimulatedPages } from "../simulation/shared-pages.ts";
import { BackReceiver, landingPages, receiveCopies } from "./back-receiver.ts";
import { BackSender, sendCopies } from "./back-sender.ts";
import { FramePages } from "./frame-pages.ts";
import type { Reception } from "./front-receiver.ts";
import { receiveEntry, transmitEntry } from "./wire.ts";

const guest = 2;
const self = 1;
const header = 4;
const ringBytes = 64;

/** What is handed on has to be a frame, and its metadata have to lie inside it. */
export function checkFrame(page: Page, offset: number, length: number): void {
  if (length < 14 || length > 65_549 || offset < 0 || offset + length > page.bytes.length) {
    throw new Error(`a frame of ${String(length)} bytes at ${String(offset)}`);
  }
  if (page.flags > 2 || page.checksumStart + page.checksumOffset + 2 > length) throw new Error("a checksum outside");
  if (page.segmentSize > 0 && (page.headerLength >= length || page.headerLength < 54)) throw new Error("no headers");
}

/** A transmit ring as the guest would have it: the number of requests, flags for the test, then entries as they are. */
export const fuzz: FuzzTarget = {
  name: "netback-hostile-front",
  seeds: [
    Uint8Array.of(1, 0, 1, 0, ...request(8, 0, 0, 7, 60)),
    // A frame to be cut, of two pieces.
    Uint8Array.of(
      3,
      0,
      1,
      0,
      ...request(8, 0, 15, 7, 4100),
      ...[1, 0, 100, 0, 1, 0, 0, 0, 0, 0, 0, 0],
      ...request(9, 0, 0, 8, 4),
    ),
    Uint8Array.of(2, 0, 9, 0, ...request(8, 4000, 4, 7, 100), ...request(9, 4000, 4, 8, 90)),
    Uint8Array.of(255, 255, 3, 0, ...request(400, 0, 0, 7, 60)),
  ],
  run(input) {
    const grants = new SimulatedGrants(64);
    const memory = new SimulatedPages(4, () => undefined);
    // A frame with TCP over IPv4, for segments and checksums to be found in.
    memory.bytes.set([8, 0, 0x45, 0, 0, 46, 0, 0, 0x40, 0, 64, 6], 12);
    memory.bytes[46] = 0x50;
    for (let page = 0; page < 4; page++) grants.grant(memory, page, self, page === 3 ? "read-only" : "read-write");
    const foreign = new SimulatedForeignPages(
      () => self,
      (domain) => (domain === guest ? grants : undefined),
      64,
      () => undefined,
    );
    const rings = new Uint8Array(2 * pageSize);
    const transmit = rings.subarray(0, pageSize);
    const receive = rings.subarray(pageSize);
    new FrontRing(transmit, transmitEntry);
    new FrontRing(receive, receiveEntry);
    const view = new DataView(rings.buffer);
    const requests = (input[0] ?? 0) | ((input[1] ?? 0) << 8);
    const entries = input.subarray(header, header + pageSize - ringBytes);
    transmit.set(entries, ringBytes);
    receive.set(entries, ringBytes);
    view.setUint32(0, requests, true);
    view.setUint32(pageSize, requests, true);

    let frames = 0;
    const reception: Reception = {
      handler: (page, offset, length) => {
        checkFrame(page, offset, length);
        frames++;
        page.bytes.fill(0xdd, offset, offset + length);
      },
      receivedFrames: 0,
      receivedBytes: 0,
      droppedReceived: 0,
    };
    const landing = new SimulatedPages(landingPages, () => undefined);
    const receiver = new BackReceiver(
      new BackRing(transmit, transmitEntry),
      guest,
      foreign.createCopyBatch(receiveCopies),
      landing,
      reception,
    );
    for (let round = 0; round < 8 && receiver.receive(64) > 0; round++) {
      receiver.publish();
      // It may change its mind at any time.
      const place = ringBytes + (input[3] ?? 0) * 4 + round;
      if (input[3] !== 0) transmit[place] = (transmit[place] ?? 0) ^ 0xff;
    }
    if (frames !== reception.receivedFrames) throw new Error("frames counted");
    const answered = view.getUint32(8, true);
    if (receiver.violation === undefined ? answered !== requests : answered > requests) {
      throw new Error(`${String(answered)} responses to ${String(requests)} requests`);
    }

    const pages = new FramePages({ allocate: (count) => new SimulatedPages(count, () => undefined) }, 1500, 8, 1);
    const sender = new BackSender(
      new BackRing(receive, receiveEntry),
      guest,
      foreign.createCopyBatch(sendCopies),
      pages,
      { checksum4: true, checksum6: true },
    );
    for (let index = 0; index < 8; index++) {
      const isLong = ((input[2] ?? 0) & (1 << index)) !== 0;
      const page = pages.take(isLong && index === 0);
      if (page === undefined) throw new Error("no page");
      const length = isLong && index === 0 ? 9000 : 60 + index;
      if (isLong) page.segmentSize = 1000;
      sender.send(page, headroom, length);
      sender.copy();
    }
    if (sender.waiting + pages.available !== pages.capacity) throw new Error("pages are lost");
    sender.abandon();
    if (pages.available !== pages.capacity) throw new Error("pages are lost");
    grants.clear();
  },
};

function request(reference: number, offset: number, flags: number, id: number, size: number): number[] {
  const words = [reference & 0xffff, reference >>> 16, offset, flags, id, size];
  return words.flatMap((word) => [word & 255, word >>> 8]);
}
