import { netifSuite } from "@tesserae/conformance/netif";
import { headroom, needsChecksum } from "@tesserae/device/page";
import { createTimers } from "@tesserae/node/timers";
import { describe, expect, test } from "vitest";
import { MemoryWindow } from "../simulation/memory-window.ts";
import { SimulatedMmio } from "../simulation/simulated-device.ts";
import { SimulatedNet, type SimulatedNetOptions } from "../simulation/simulated-net.ts";
import { netFeature } from "./features.ts";
import { createVirtioNet, type VirtioNetOptions } from "./net.ts";
import { findMmioDevice } from "./transport-mmio.ts";
import type { Transport } from "./transport.ts";
import type { VirtioError } from "./virtio-error.ts";

function attach(window: MemoryWindow, device: SimulatedNet, slot: number): Transport {
  const address = 0xfeb0_0000 + slot * 512;
  window.addMemory(address, 512, new SimulatedMmio(device, slot));
  return findMmioDevice(window, { address, length: 512, interrupt: { line: slot } })!;
}

async function pair(features: readonly number[], rest: Partial<SimulatedNetOptions> = {}) {
  const window = new MemoryWindow();
  const devices = [1, 2].map((station) => new SimulatedNet({ window, station, features, ...rest }));
  devices[0]!.connect(devices[1]!);
  const [a, b] = await Promise.all(
    devices.map((each, index) => createVirtioNet({ device: attach(window, each, index) })),
  );
  return { a: a!, b: b!, timers: createTimers() };
}

const kinds: readonly [string, readonly number[], Partial<SimulatedNetOptions>][] = [
  ["event indices", [], {}],
  ["no event indices, a queue of 16", [], { noEventIndex: true, queueSize: 16 }],
  ["mergeable buffers and offloads", [netFeature.mergeableBuffers, netFeature.checksum, netFeature.guestTso4], {}],
];

describe.each(kinds)("conformance of virtio-net: %s", (_, features, rest) => {
  for (const each of netifSuite) {
    test(each.name, async () => {
      const subject = await pair(features, rest);
      await each.run(subject);
      await Promise.all([subject.a.close(), subject.b.close()]);
      subject.timers.close();
    });
  }
});

async function one(features: readonly number[] = [], options: Partial<VirtioNetOptions> = {}) {
  const window = new MemoryWindow();
  const device = new SimulatedNet({ window, station: 1, features });
  const errors: VirtioError[] = [];
  const netif = await createVirtioNet({
    device: attach(window, device, 0),
    onDead: (error) => errors.push(error),
    ...options,
  });
  const frames: Uint8Array[] = [];
  netif.listen((page, offset, length) => frames.push(page.bytes.slice(offset, offset + length)));
  return { window, device, netif, errors, frames };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));
const settle = async () => {
  for (let round = 0; round < 10; round++) await turn();
};

/** A header of the device's and a frame of `length` bytes. */
function framed(length: number, header: readonly number[] = []): Uint8Array {
  const bytes = Uint8Array.from({ length: 12 + length }, (_, index) => index * 7);
  bytes.fill(0, 0, 12);
  bytes.set(header);
  return bytes;
}

describe("receiving", () => {
  test("a frame in several buffers is handed on in one piece (virtio 1.2 §5.1.6.4)", async () => {
    const { device, frames, netif } = await one([netFeature.mergeableBuffers, netFeature.guestChecksum]);
    for (const length of [9000, 65_549, 3000, 60, 40_000]) {
      const sent = framed(length);
      device.receive(sent.slice());
      await settle();
      expect(frames.pop()).toEqual(sent.subarray(12));
    }
    await netif.close();
  });

  test("a frame whose buffers go round the end of the row is put together", async () => {
    const { device, frames, netif } = await one([netFeature.mergeableBuffers], { receiveBuffers: 8 });
    const sent = framed(7000);
    for (let round = 0; round < 20; round++) {
      device.receive(sent.slice());
      await settle();
    }
    expect(frames.length).toBe(20);
    for (const frame of frames) expect(frame).toEqual(sent.subarray(12));
    await netif.close();
  });

  test("long frames come where each buffer holds one", async () => {
    const { device, frames, netif } = await one([netFeature.guestChecksum, netFeature.guestTso4]);
    const sent = framed(60_000);
    for (let round = 0; round < 40; round++) device.receive(sent.slice());
    await settle();
    expect(frames.length).toBe(40);
    expect(frames[39]).toEqual(sent.subarray(12));
    await netif.close();
  });

  test("the device's header becomes metadata", async () => {
    const { device, netif } = await one([netFeature.guestChecksum, netFeature.guestTso4, netFeature.mergeableBuffers]);
    const seen: number[][] = [];
    netif.listen((page) => {
      seen.push([page.flags, page.checksumStart, page.checksumOffset, page.segmentSize, page.headerLength]);
    });
    device.receive(framed(100));
    device.receive(framed(100, [2]));
    device.receive(framed(100, [1, 1, 54, 0, 20, 0, 34, 0, 16, 0]));
    await settle();
    expect(seen).toEqual([
      [0, 0, 0, 0, 0],
      [2, 0, 0, 0, 0],
      [needsChecksum, 34, 16, 20, 54],
    ]);
    await netif.close();
  });

  test("a header that does not fit its frame drops the frame", async () => {
    const { device, netif, frames, errors } = await one([netFeature.guestChecksum, netFeature.guestTso4]);
    device.receive(framed(100, [1, 0, 0, 0, 0, 0, 90, 0, 9, 0]));
    device.receive(framed(100, [0, 4, 0, 0, 10, 0]));
    device.receive(framed(100, [1, 1, 101, 0, 10, 0, 34, 0, 16, 0]));
    device.receive(framed(13));
    await settle();
    expect([frames.length, netif.statistics.droppedFrames, errors.length]).toEqual([0, 4, 0]);
    await netif.close();
  });
});

describe("sending", () => {
  test("a burst is one notification", async () => {
    const { device, netif } = await one();
    let notified = 0;
    const inner = device.notified.bind(device);
    device.notified = (queue) => {
      if (queue === 1) notified++;
      inner(queue);
    };
    for (let index = 0; index < 50; index++) netif.transmit(netif.allocate()!, headroom, 60);
    expect(notified).toBe(0);
    await settle();
    expect(notified).toBe(1);
    await netif.close();
  });

  test("a checksum to be completed is marked for the device", async () => {
    const { device, netif } = await one([netFeature.checksum]);
    expect(netif.features.transmitChecksum).toBe(true);
    const sent: Uint8Array[] = [];
    device.onFrame = (bytes) => sent.push(bytes);
    const page = netif.allocate()!;
    page.flags = needsChecksum;
    page.checksumStart = 34;
    page.checksumOffset = 6;
    netif.transmit(page, headroom, 60);
    await settle();
    expect([...sent[0]!.subarray(0, 12)]).toEqual([1, 0, 0, 0, 0, 0, 34, 0, 6, 0, 0, 0]);
    await netif.close();
  });

  test("a long frame goes to a device that cuts it in one piece (virtio 1.2 §5.1.6.2)", async () => {
    const { device, netif } = await one([netFeature.checksum, netFeature.hostTso4]);
    expect(netif.features).toEqual({ transmitChecksum: true, maxSegmentation: 65_455 });
    const sent: Uint8Array[] = [];
    device.onFrame = (bytes) => sent.push(bytes);
    const page = netif.allocate(65_535)!;
    const frame = Uint8Array.from({ length: 14 + 65_535 }, (_, index) => index * 3);
    page.bytes.set(frame, headroom - 14);
    page.flags = needsChecksum;
    page.checksumStart = 34;
    page.checksumOffset = 16;
    page.segmentSize = 1000;
    page.headerLength = 54;
    expect(netif.transmit(page, headroom - 14, frame.length)).toBe(true);
    netif.transmit(netif.allocate()!, headroom, 60);
    await settle();
    expect(sent.map(({ length }) => length - 12)).toEqual([frame.length, 60]);
    expect([...sent[0]!.subarray(0, 10)]).toEqual([1, 1, 54, 0, 0xe8, 3, 34, 0, 16, 0]);
    expect(Buffer.compare(sent[0]!.subarray(12), frame)).toBe(0);
    expect([...sent[1]!.subarray(0, 10)]).toEqual(new Array(10).fill(0));
    await netif.close();
  });

  test("long pages are few, come back, and are none where the device does not cut", async () => {
    const { netif } = await one([netFeature.checksum, netFeature.hostTso4]);
    for (let round = 0; round < 3; round++) {
      let count = 0;
      for (let page = netif.allocate(2000); page !== undefined && count < 16; page = netif.allocate(2000)) {
        expect(page.bytes.length).toBeGreaterThanOrEqual(headroom + 65_535);
        page.segmentSize = 1460;
        expect(netif.transmit(page, headroom, 2014)).toBe(true);
        count++;
      }
      expect(count).toBe(16);
      await settle();
    }
    const long = netif.allocate(65_000)!;
    expect(netif.transmit(long, headroom, 65_000)).toBe(false);
    await netif.close();
    const plain = await one();
    expect(plain.netif.features.maxSegmentation).toBe(0);
    expect(plain.netif.allocate(1501)).toBeUndefined();
    await plain.netif.close();
  });

  test("where memory is short there are no long pages", async () => {
    const window = new MemoryWindow({ dma: 1_400_000 });
    const device = new SimulatedNet({ window, station: 1, features: [netFeature.checksum, netFeature.hostTso4] });
    const netif = await createVirtioNet({ device: attach(window, device, 0) });
    expect(netif.features).toEqual({ transmitChecksum: true, maxSegmentation: 0 });
    await netif.close();
  });

  test("a device that sends nothing holds no more than its pages", async () => {
    const { device, netif } = await one([], { pages: 8 });
    device.notified = () => undefined;
    for (let index = 0; index < 8; index++) expect(netif.transmit(netif.allocate()!, headroom, 60)).toBe(true);
    await settle();
    expect(netif.allocate()).toBeUndefined();
    await netif.close();
  });
});

describe("a device that breaks the rules ends with one line", () => {
  const ways: readonly [string, RegExp, (device: SimulatedNet) => void][] = [
    ["a wild id", /used id 700 of a queue of 256$/, (device) => device.queues[0]!.give(700, 60)],
    ["a length", /used length 1601 of a buffer of \d+$/, (device) => device.queues[0]!.give(0, 1601)],
    ["the longest length", /used length 4294967295 of a buffer/, (device) => device.queues[0]!.give(0, -1)],
    [
      "an index that jumps",
      /used index 257, 257 ahead, with 256 in flight$/,
      (device) => device.queues[0]!.publish(257),
    ],
    ["an index that goes back", /used index 65535, 65535 ahead/, (device) => device.queues[0]!.publish(-1)],
  ];

  test.each(ways)("%s", async (_, message, misbehave) => {
    const { device, netif, errors, frames } = await one();
    misbehave(device);
    device.onInterrupt("queue", 0);
    await settle();
    device.onInterrupt("queue", 0);
    device.receive(framed(60));
    await settle();
    expect(errors.map((error) => error.message)).toEqual([expect.stringMatching(message)]);
    expect(errors[0]!.message).toMatch(/^virtio-net mmio@0xfeb00000: the device broke the rules: /);
    expect(errors[0]!.kind).toBe("rules");
    expect(frames.length).toBeLessThanOrEqual(1);
    const page = netif.allocate();
    if (page !== undefined) expect(netif.transmit(page, headroom, 60)).toBe(false);
    await netif.close();
    await netif.close();
  });

  test("a frame in more buffers than there are", async () => {
    const { device, errors, netif } = await one([netFeature.mergeableBuffers]);
    const queue = device.queues[0]!;
    const chain = queue.take()!;
    chain.segments[0]!.bytes.set([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0]);
    queue.give(chain.head, 100);
    device.onInterrupt("queue", 0);
    await settle();
    expect(errors[0]?.message).toMatch(/broke the rules: a frame in 9 buffers, used 1$/);
    await netif.close();
  });

  test("in the queue of sent frames", async () => {
    const { device, errors, netif } = await one([], { pages: 4 });
    device.notified = () => undefined;
    for (let index = 0; index < 4; index++) netif.transmit(netif.allocate()!, headroom, 60);
    device.queues[1]!.give(2, 1);
    expect(netif.allocate()).toBeUndefined();
    expect(errors[0]?.message).toMatch(/used length 1 of a buffer of 0$/);
    await netif.close();
  });

  test("the same sent frame twice", async () => {
    const { device, errors, netif } = await one([], { pages: 4 });
    device.notified = () => undefined;
    for (let index = 0; index < 4; index++) netif.transmit(netif.allocate()!, headroom, 60);
    await settle();
    device.queues[1]!.give(2, 0);
    device.queues[1]!.give(2, 0);
    netif.allocate();
    expect(errors[0]?.message).toMatch(/used id 2 is not in flight$/);
    await netif.close();
  });

  test("notifications without end are no more work than frames", async () => {
    const { device, netif, errors, frames } = await one();
    for (let round = 0; round < 1000; round++) device.onInterrupt("queue", 0);
    await settle();
    device.receive(framed(60));
    await settle();
    expect([errors.length, frames.length]).toEqual([0, 1]);
    await netif.close();
  });

  test("a device that asks to be reset", async () => {
    const { device, netif, errors } = await one();
    device.deviceStatus |= 64;
    device.onInterrupt("configuration", 0);
    await settle();
    expect(errors.map(({ kind, message }) => [kind, message])).toEqual([
      ["reset", "virtio-net mmio@0xfeb00000: the device asks to be reset: it is given up"],
    ]);
    await netif.close();
  });
});

describe("createVirtioNet", () => {
  test("refuses options out of range", async () => {
    await expect(one([], { mtu: 1501 })).rejects.toThrow("mtu 1501 is not an integer from 576 to 1500");
    await expect(one([], { pages: 1 })).rejects.toThrow("pages 1 ");
    await expect(one([], { receiveBuffers: 0.5 })).rejects.toThrow("receiveBuffers 0.5 ");
  });

  test("takes the device's MTU", async () => {
    const window = new MemoryWindow();
    const device = new SimulatedNet({ window, station: 1, features: [netFeature.mtu] });
    device.configuration.set([0x28, 0x23], 10);
    const netif = await createVirtioNet({ device: attach(window, device, 0) });
    expect(netif.mtu).toBe(9000);
    await netif.close();
  });

  test("says when memory is out", async () => {
    const window = new MemoryWindow({ dma: 65_536 });
    const device = attach(window, new SimulatedNet({ window, station: 1 }), 0);
    await expect(createVirtioNet({ device })).rejects.toThrow("bytes of memory for a device");
  });
});
