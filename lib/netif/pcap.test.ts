import { needsChecksum } from "@tesserae/device/page";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { checksum } from "@tesserae/wire/checksum";
import { readPcapng } from "@tesserae/wire/pcapng-reader";
import { PcapngWriter } from "@tesserae/wire/pcapng-writer";
import { expect, test } from "vitest";
import { createLink } from "./link.ts";
import { pcap } from "./pcap.ts";

interface Captured {
  readonly id: number;
  readonly time: number;
  readonly bytes: Uint8Array;
}

function setup() {
  const clock = new VirtualClock({ origin: 1_700_000_000_000 });
  const timers = new Scheduler(clock);
  const { a, b } = createLink({ timers });
  const captured: Captured[] = [];
  const writePacket = (id: number, time: number, bytes: Uint8Array, offset: number, length: number): void => {
    captured.push({ id, time, bytes: bytes.slice(offset, offset + length) });
  };
  return { clock, timers, a, b, captured, netif: pcap(a, { sink: { writePacket }, interfaceId: 7, clock }) };
}

test("frames sent and received are captured whole, with the wall-clock time", () => {
  const { clock, timers, b, captured, netif } = setup();
  const seen: number[] = [];
  netif.listen((_page, _offset, length) => seen.push(length));
  clock.advanceTo(1.25);
  const there = netif.allocate()!;
  there.bytes.fill(1, 10, 70);
  netif.transmit(there, 10, 60);
  const back = b.allocate()!;
  back.bytes.fill(2, 20, 90);
  b.transmit(back, 20, 70);
  timers.run();
  expect(seen).toEqual([70]);
  expect(captured).toEqual([
    { id: 7, time: 1_700_000_000_001.25, bytes: new Uint8Array(60).fill(1) },
    { id: 7, time: 1_700_000_000_001.25, bytes: new Uint8Array(70).fill(2) },
  ]);
});

test("a checksum left to the device is completed in the capture, and only there", () => {
  const { captured, netif, b, timers } = setup();
  netif.listen(() => undefined);
  // 20 bytes of transport segment at 34, its checksum field (at 16) holding a pseudo-header's sum.
  const page = b.allocate()!;
  page.bytes.fill(0, 0, 60);
  for (let index = 0; index < 20; index++) page.bytes[34 + index] = index * 13;
  page.bytes[50] = 0x12;
  page.bytes[51] = 0x34;
  page.flags = needsChecksum;
  page.checksumStart = 34;
  page.checksumOffset = 16;
  const before = page.bytes.slice(0, 54);
  b.transmit(page, 0, 54);
  timers.run();
  const frame = captured[0]!.bytes;
  const stored = (frame[50]! << 8) | frame[51]!;
  expect(stored).toBe(checksum(before, 34, 20));
  // A receiver sums the segment, as it came, with the pseudo-header: 0x1234 stands for that.
  expect(checksum(frame, 34, 20, 0x1234)).toBe(0);
  expect(page.bytes.slice(0, 54)).toEqual(before);
});

test("a checksum field outside the frame is left alone", () => {
  const { captured, netif, b, timers } = setup();
  netif.listen(() => undefined);
  const page = b.allocate()!;
  page.bytes.fill(9, 0, 60);
  page.flags = needsChecksum;
  page.checksumStart = 50;
  page.checksumOffset = 9;
  b.transmit(page, 0, 60);
  timers.run();
  expect(captured[0]!.bytes).toEqual(new Uint8Array(60).fill(9));
});

test("a PcapngWriter is a sink", () => {
  const { clock, a } = setup();
  const blocks: Uint8Array[] = [];
  const sink = new PcapngWriter((bytes) => blocks.push(bytes));
  const netif = pcap(a, { sink, interfaceId: sink.addInterface({ name: a.name }), clock });
  clock.advanceTo(2.5);
  const page = netif.allocate()!;
  page.bytes.fill(3, 0, 64);
  netif.transmit(page, 0, 64);
  const items = [...readPcapng(new Uint8Array(Buffer.concat(blocks)))];
  expect(items).toMatchObject([
    { kind: "interface", name: "link-a" },
    { kind: "packet", time: 1_700_000_000_002.5, bytes: new Uint8Array(64).fill(3) },
  ]);
});
