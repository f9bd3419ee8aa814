import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { headroom, type Page } from "@tesserae/device/page";
import { pageSize } from "../grant.ts";
import { FrontRing } from "../ring.ts";
import { SimulatedPages } from "../simulation/shared-pages.ts";
import { FramePages } from "./frame-pages.ts";
import { FrontReceiver, type Reception } from "./front-receiver.ts";
import { FrontSender } from "./front-sender.ts";
import { checkFrame } from "./hostile-front.fuzz.ts";
import { receiveEntry, transmitEntry } from "./wire.ts";

const header = 4;
const ringBytes = 64;

/** The responses of a back end, in both rings: in how many steps it gives them, how many at a time, then entries. */
export const fuzz: FuzzTarget = {
  name: "netfront-hostile-back",
  seeds: [
    // A short frame, and one in two pieces that lie side by side.
    Uint8Array.of(1, 3, 0, 0, ...response(0, 0, 0, 60), ...response(1, 0, 4, 4096), ...response(2, 0, 0, 100)),
    // One to be cut: the second entry is extra information, the third a piece.
    Uint8Array.of(3, 1, 0, 0, ...response(0, 0, 12, 4096), ...[1, 0, 232, 3, 1, 0, 0, 0], ...response(2, 0, 0, 4096)),
    Uint8Array.of(1, 255, 0, 0, ...response(0, 4000, 4, 97), ...response(7, 0, 0, 60)),
    Uint8Array.of(4, 60, 0, 0, ...Array.from({ length: 40 }, (_, id) => response(id, 0, 4, 4096)).flat()),
  ],
  run(input) {
    const transmit = new Uint8Array(pageSize);
    const receive = new Uint8Array(pageSize);
    const memory = new Uint8Array(256 * pageSize);
    // What is received is TCP over IPv4, as far as it is long enough.
    memory.set([8, 0, 0x45, 0, 0, 46, 0, 0, 0x40, 0, 64, 6], 12);
    memory[46] = 0x50;
    let frames = 0;
    const reception: Reception = {
      handler: (page: Page, offset: number, length: number) => {
        checkFrame(page, offset, length);
        frames++;
      },
      receivedFrames: 0,
      receivedBytes: 0,
      droppedReceived: 0,
    };
    const references = Uint32Array.from({ length: 256 }, (_, index) => index + 8);
    const receiver = new FrontReceiver(new FrontRing(receive, receiveEntry), memory, references, reception);
    receiver.offer();
    receiver.publish();
    const pages = new FramePages({ allocate: (count) => new SimulatedPages(count, () => undefined) }, 1500, 16, 1);
    const grants = { short: references, long: references };
    const sender = new FrontSender(new FrontRing(transmit, transmitEntry), pages, grants, {
      checksum4: true,
      checksum6: false,
    });
    const steps = Math.min(input[0] ?? 0, 8);
    const each = (input[1] ?? 0) + ((input[2] ?? 0) << 24);
    for (let step = 1; step <= steps; step++) {
      for (let index = 0; index < 3; index++) {
        const page = pages.take(index === 2);
        if (page === undefined) continue;
        if (index === 2) page.segmentSize = 1000;
        if (!sender.send(page, headroom, index === 2 ? 20_000 : 60)) pages.release(page);
      }
      sender.publish();
      const entries = input.subarray(header, header + pageSize - ringBytes);
      transmit.set(entries, ringBytes);
      receive.set(entries, ringBytes);
      new DataView(transmit.buffer).setUint32(8, step * each, true);
      new DataView(receive.buffer).setUint32(8, step * each, true);
      receiver.receive(64);
      receiver.publish();
      sender.reap();
    }
    if (frames !== reception.receivedFrames) throw new Error("frames counted");
    sender.abandon();
    if (pages.available !== pages.capacity) throw new Error("pages are lost");
  },
};

function response(id: number, offset: number, flags: number, size: number): number[] {
  return [id, offset, flags, size].flatMap((word) => [word & 255, word >>> 8]);
}
