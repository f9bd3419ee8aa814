// How fairly flows share a bottleneck.
import { createWorld, type World } from "@tesserae/sim/world";
import type { Host } from "@tesserae/sim/host";
import type { Flow } from "@tesserae/device/flow";

/** Jain's index: 1 when all have the same, 1/n when one has everything (Jain, Chiu and Hawe, 1984). */
export function jainIndex(shares: readonly number[]): number {
  const sum = shares.reduce((total, share) => total + share, 0);
  const squares = shares.reduce((total, share) => total + share * share, 0);
  return squares === 0 ? 1 : (sum * sum) / (shares.length * squares);
}

export interface BottleneckOptions {
  /** Bits a second, of the link that all share. */
  readonly bandwidth: number;
  /** Bytes that may wait for it. */
  readonly queue: number;
  /** Of each sender, in milliseconds. */
  readonly roundTrips: readonly number[];
  /** When each sender begins, in milliseconds. Default: all at once. */
  readonly starts?: readonly number[];
  /** Over this stretch of virtual time the shares are counted, in milliseconds. */
  readonly from: number;
  readonly until: number;
  readonly seed: string;
  readonly prepare?: (world: World) => void;
}

const port = 5001;

/** Senders behind links of their own, one bottleneck, one receiver. @returns payload bits a second of each sender */
export async function simulateBottleneck(options: BottleneckOptions): Promise<number[]> {
  const { bandwidth, queue, roundTrips, starts = [], from, until } = options;
  const world = createWorld({ seed: options.seed, ambient: false });
  options.prepare?.(world);
  // A link's delay is the path to the others, there only: half of the round trip each way is made of two halves.
  const receiver = world.host("receiver", { link: { bandwidth, queue, delay: 0 } });
  const counts = roundTrips.map(() => ({ bytes: 0, before: 0 }));
  const senders = roundTrips.map((roundTrip, index) => world.host(`sender-${index}`, { link: { delay: roundTrip } }));
  world.task("receive", async () => {
    await receiver.ready;
    for (const [index, count] of counts.entries()) {
      await receiver.stack.tcp.listen({ port: port + index }, async (flow) => {
        const into = new Uint8Array(65_536);
        try {
          for (let got = await flow.read(into); got > 0; got = await flow.read(into)) count.bytes += got;
        } catch {
          // The senders are stopped in the middle.
        }
        flow.abort();
      });
    }
  });
  const flows: Flow[] = [];
  for (const [index, sender] of senders.entries()) {
    world.timers.timer(() => void send(sender, index)).set(starts[index] ?? 0);
  }
  world.timers.timer(() => counts.forEach((count) => (count.before = count.bytes))).set(from);
  world.task("measure", () => new Promise<void>((resolve) => world.timers.timer(resolve).set(until)));
  await world.run({ eventLimit: 1e9 });
  for (const flow of flows) flow.abort();
  await world.close();
  return counts.map(({ bytes, before }) => ((bytes - before) * 8000) / (until - from));

  async function send(sender: Host, index: number): Promise<void> {
    await sender.ready;
    await receiver.ready;
    try {
      const flow = await sender.stack.tcp.connect({ address: receiver.address, port: port + index });
      flows.push(flow);
      const block = new Uint8Array(65_536);
      for (;;) await flow.write(block);
    } catch {
      // Stopped at the end.
    }
  }
}
