// Floods (RFC 4732): while they last honest clients are served, and what the server holds stays within its bounds.
import { IpAddress, MacAddress } from "@tesserae/device/address";
import { SeededRandom } from "@tesserae/conformance/seeded-random";
import type { Flow } from "@tesserae/device/flow";
import { describe, expect, test } from "vitest";
import { arpFrame, echoFrame, type Ends, ipv4Frame, tcpFrame, udpFrame } from "./hostile-frames.ts";
import { besiege, type Outcome, type Siege } from "./siege.ts";

/** Frames a virtual millisecond, and how many milliseconds: more with TESSERAE_FLOOD_MS. */
const rate = 4;
const duration = Number(process.env["TESSERAE_FLOOD_MS"] ?? 3000);
const patience = Math.max(60_000, duration * 20);

const syn = 0x02;
const rst = 0x04;
const ack = 0x10;

type Frames = (ends: (from?: number) => Ends, random: SeededRandom, count: number) => Uint8Array;

/** An attack that injects `rate` frames each millisecond. */
function flood(frames: Frames): (siege: Siege) => Promise<void> {
  return async ({ server, attacker, address, inject, pause }) => {
    const random = new SeededRandom(1);
    const fromMac = attacker.mac;
    const ends = (from = 0x0a000003): Ends => ({ fromMac, toMac: server.mac, from, to: address });
    for (let ms = 0; ms < duration; ms++) {
      for (let index = 0; index < rate; index++) inject(frames(ends, random, ms * rate + index));
      await pause(1);
    }
  };
}

/** An address of the network's second half, where nobody lives. */
const nobody = (random: SeededRandom): number => 0x0a008000 | (random.uint32() & 0x7fff);

function expectServed({ asked, served }: Outcome): void {
  expect(asked).toBeGreaterThan(3);
  expect(served).toBe(asked);
}

describe("honest clients are served, and memory stays within its bounds, under a flood of", () => {
  test(
    "SYNs from addresses of nobody: cookies answer what has no place in the queue (RFC 4987)",
    async () => {
      const outcome = await besiege("syn", {
        attack: flood((ends, random) =>
          tcpFrame(ends(nobody(random)), {
            fromPort: 1024 + (random.uint32() % 60_000),
            toPort: 7,
            sequence: 1,
            flags: syn,
          }),
        ),
      });
      expectServed(outcome);
      expect(outcome.most.halfOpen).toBeLessThanOrEqual(511);
      expect(outcome.stack.statistics.tcp.cookiesSent).toBeGreaterThan(1000);
      expect(outcome.most.neighbours).toBeLessThanOrEqual(outcome.stack.arp.cache.capacity);
      expect(outcome.after).toMatchObject({ connections: 0, halfOpen: 0, bufferBytes: 0 });
    },
    patience,
  );

  test(
    "ACKs that belong to nothing: few are answered (RFC 5961 §7)",
    async () => {
      const outcome = await besiege("ack", {
        attack: flood((ends, random) =>
          tcpFrame(ends(), {
            fromPort: 1024 + (random.uint32() % 60_000),
            toPort: 7,
            sequence: random.uint32() | 0,
            acknowledgement: random.uint32() | 0,
            flags: ack,
          }),
        ),
      });
      expectServed(outcome);
      const { resetsSent } = outcome.stack.statistics.tcp;
      expect(resetsSent).toBeGreaterThan(0);
      expect(resetsSent).toBeLessThan(duration * 2);
      expect(outcome.after).toMatchObject({ connections: 0, bufferBytes: 0 });
    },
    patience,
  );

  test(
    "resets in the honest client's name: only the exact number would end a connection (RFC 5961 §3)",
    async () => {
      const outcome = await besiege("rst", {
        attack: flood((ends, random, count) =>
          tcpFrame(ends(0x0a000002), {
            fromPort: 49_152 + (count % 16_384),
            toPort: 7,
            sequence: random.uint32() | 0,
            flags: rst,
          }),
        ),
      });
      expectServed(outcome);
    },
    patience,
  );

  test(
    "first fragments without a second: each source has its share, the oldest go (RFC 1858, RFC 791)",
    async () => {
      const data = new Uint8Array(1400);
      const outcome = await besiege("fragments", {
        attack: flood((ends, random, count) => ipv4Frame(ends(nobody(random)), 17, data, count & 0xffff, 0x2000)),
      });
      expectServed(outcome);
      expect(outcome.most.fragments).toBeLessThanOrEqual(16);
      expect(outcome.stack.statistics.reassembly.evicted).toBeGreaterThan(1000);
      expect(outcome.after.fragments).toBe(0);
    },
    patience,
  );

  test(
    "echo requests, some of them from nobody",
    async () => {
      const data = new Uint8Array(1000);
      const outcome = await besiege("icmp", {
        attack: flood((ends, random, count) => echoFrame(ends(count % 2 === 0 ? undefined : nobody(random)), 1, data)),
      });
      expectServed(outcome);
    },
    patience,
  );

  test(
    "questions for our address, each from another neighbour",
    async () => {
      const outcome = await besiege("arp", {
        attack: flood((ends, random) =>
          arpFrame({ ...ends(nobody(random)), fromMac: new MacAddress(0x0200, random.uint32()) }),
        ),
      });
      expectServed(outcome);
      expect(outcome.most.neighbours).toBeLessThanOrEqual(outcome.stack.arp.cache.capacity);
    },
    patience,
  );

  test(
    "datagrams to ports that nobody listens on: few are answered (RFC 1812 §4.3.2.8)",
    async () => {
      const outcome = await besiege("udp", {
        attack: flood((ends, random) => udpFrame(ends(), 1000, 2000 + (random.uint32() % 60_000), new Uint8Array(100))),
      });
      expectServed(outcome);
      const { errorsSent } = outcome.stack.statistics.icmp;
      expect(errorsSent).toBeGreaterThan(0);
      expect(errorsSent).toBeLessThan((duration * rate) / 4);
    },
    patience,
  );
});

describe("honest clients are served, and memory stays within its bounds, beside", () => {
  test(
    "connections full of small holes: a bounded number of ranges each, a bounded memory for all",
    async () => {
      const outcome = await besiege("holes", {
        attack: async ({ server, attacker, address, inject, pause }) => {
          const ends: Ends = { fromMac: attacker.mac, toMac: server.mac, from: 0x0a000003, to: address };
          const numbers = new Map<number, number>();
          attacker.netif.listen((page, offset) => {
            const view = new DataView(page.bytes.buffer, page.bytes.byteOffset + offset);
            if (view.getUint16(12) !== 0x0800 || view.getUint8(23) !== 6) {
              // Who asks for our address: without an answer nothing comes back.
              if (view.getUint16(12) === 0x0806 && view.getUint16(20) === 1) inject(arpReply(ends, view));
              return;
            }
            if ((view.getUint8(47) & syn) !== 0) numbers.set(view.getUint16(36), view.getInt32(38) + 1);
          });
          inject(arpFrame(ends));
          await pause(100);
          for (let port = 2000; port < 2400; port++) {
            inject(tcpFrame(ends, { fromPort: port, toPort: 7, sequence: 0, flags: syn }));
            await pause(1);
          }
          await pause(100);
          expect(numbers.size).toBe(400);
          for (let round = 0; round < 100; round++) {
            for (const [fromPort, acknowledgement] of numbers) {
              // A byte at the far end of the window, and from there on every second byte.
              const sequence = 1 + 64_000 - round * 2;
              inject(
                tcpFrame(ends, { fromPort, toPort: 7, sequence, acknowledgement, flags: ack, data: new Uint8Array(1) }),
              );
              if ((fromPort & 63) === 0) await pause(1);
            }
          }
          for (const [fromPort, acknowledgement] of numbers) {
            inject(tcpFrame(ends, { fromPort, toPort: 7, sequence: 1, acknowledgement, flags: rst }));
            await pause(1);
          }
        },
      });
      expectServed(outcome);
      expect(outcome.most.connections).toBeGreaterThanOrEqual(400);
      expect(outcome.stack.statistics.tcp.outOfOrder).toBeGreaterThan(10_000);
      // 400 windows of 64 KiB, and what the honest client has.
      expect(outcome.most.bufferBytes).toBeLessThan(402 * 131_072);
      expect(outcome.after).toMatchObject({ connections: 0, bufferBytes: 0 });
    },
    patience,
  );

  test(
    "readers that never read: each holds one send buffer, all together not more than is allowed",
    async () => {
      const outcome = await besiege("slow readers", {
        raw: false,
        serve: async ({ server }) => {
          const block = new Uint8Array(1_000_000);
          await server.stack.tcp.listen({ port: 80 }, async (flow) => {
            await flow.write(block).catch(() => undefined);
            flow.abort();
          });
        },
        attack: async ({ attacker, address, pause }) => {
          const flows: Flow[] = [];
          for (let index = 0; index < 600; index++) flows.push(await attacker.stack.tcp.connect({ address, port: 80 }));
          await pause(duration);
          for (const flow of flows) flow.abort();
        },
      });
      expectServed(outcome);
      expect(outcome.most.connections).toBeGreaterThanOrEqual(600);
      // The bound, and what is guaranteed to each beyond it.
      expect(outcome.most.bufferBytes).toBeLessThanOrEqual(268_435_456 + 2 * 8192 * 602);
      expect(outcome.after).toMatchObject({ connections: 0, bufferBytes: 0 });
    },
    patience,
  );
});

/** The answer to the request in `view`, for an address of the attacker's. */
function arpReply({ fromMac }: Ends, view: DataView): Uint8Array {
  const asker = MacAddress.read(new Uint8Array(view.buffer, view.byteOffset, 60), 22);
  const frame = arpFrame({ fromMac, toMac: asker, from: view.getInt32(38), to: IpAddress.v4(view.getInt32(28)) });
  asker.write(frame, 0);
  frame[21] = 2;
  asker.write(frame, 32);
  return frame;
}
