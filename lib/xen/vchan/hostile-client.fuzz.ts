import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { SeededRandom } from "@tesserae/conformance/seeded-random";
import type { Flow } from "@tesserae/device/flow";
import { ByteRing } from "../byte-ring.ts";
import type { EventChannel } from "../event-channel.ts";
import { pageSize } from "../grant.ts";
import { inWorld, type World } from "../simulation/world.ts";
import {
  clientLive,
  clientNotify,
  firstReference,
  leftConsumer,
  leftOrder,
  leftProducer,
  live,
  notifyRead,
  notifyWritten,
  pageOrder,
  rightConsumer,
  rightOrder,
  rightProducer,
} from "./layout.ts";
import { serveVchan } from "./serve.ts";

export const turn = (): Promise<void> => new Promise(setImmediate);
/** Milliseconds that the end under test lingers when it closes. */
export const linger = 200;

/** What the other end has in its hands: all of what is shared. */
export interface HostileEnd {
  readonly page: Uint8Array;
  /** To the end under test, and from it. */
  readonly output: ByteRing;
  readonly input: ByteRing;
  /** Its byte of the page that says whether it is there. */
  readonly ownLive: number;
  /** The byte that says what it is to signal. */
  readonly asked: number;
  readonly channel: EventChannel;
}

/** Bytes of a step: what, and two operands. */
const stepBytes = 3;
const action = { give: 0, take: 1, write: 2, read: 3, end: 4, leave: 5, poke: 6, jump: 7, wait: 8, abort: 9 } as const;
const actions = Object.keys(action).length;

export function steps(...all: readonly (readonly [keyof typeof action, number, number])[]): number[] {
  return all.flatMap(([name, a, b]) => [action[name], a, b]);
}

/** Both sides wait for each other, each way. */
export const conversation = steps(
  ...(["read", "wait", "give", "wait", "read", "wait", "give", "wait", "read", "wait"] as const).map(
    (name) => [name, 30, 0] as const,
  ),
  ...(["write", "write", "write", "write", "write", "wait", "take", "wait", "take", "wait"] as const).map(
    (name) => [name, 255, 0] as const,
  ),
);

/** Bytes one way, as they should arrive. */
class Stream {
  put = 0;
  got = 0;

  make(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => (this.put++ * 7) & 255);
  }

  check(bytes: Uint8Array, way: string): void {
    for (const byte of bytes)
      if (byte !== ((this.got++ * 7) & 255)) throw new Error(`byte ${this.got} ${way} is wrong`);
    if (this.got > this.put) throw new Error(`${this.got} of ${this.put} bytes have come ${way}`);
  }
}

/**
 * Does what a script says with a vchan, on both ends, and closes the one under test: whatever the other has done, nothing
 * throws, everything that was waited for settles, and of an honest one every byte has come, both ways.
 */
export async function converse(world: World, flow: Flow, other: HostileEnd, script: Uint8Array): Promise<void> {
  const { page, output, input, ownLive, asked, channel } = other;
  const there = new Stream();
  const back = new Stream();
  let waiting = 0;
  let isReading = false;
  let isHonest = true;
  let hasEnded = false;
  let failures = 0;
  const follow = <T>(work: Promise<T>, done: (value: T) => void): void => {
    waiting++;
    work.then(
      (value) => {
        waiting--;
        done(value);
      },
      () => {
        waiting--;
        failures++;
      },
    );
  };
  const broken: Error[] = [];
  const read = (length: number): void => {
    if (isReading) return;
    isReading = true;
    const into = new Uint8Array(length + 8).fill(0xee);
    follow(flow.read(into.subarray(0, length)), (count) => {
      isReading = false;
      try {
        if (count > output.size) throw new Error(`${count} bytes were read from a ring of ${output.size}`);
        if (count > length || into.subarray(count).some((byte) => byte !== 0xee)) throw new Error("a read beyond");
        if (isHonest) there.check(into.subarray(0, count), "to the end under test");
      } catch (error) {
        broken.push(error instanceof Error ? error : new Error(String(error)));
      }
    });
  };
  // An honest end signals what it was asked to, and nothing else; then all depends on what the end under test asks for.
  const signal = (what: number): void => {
    if (isHonest && ((page[asked] ?? 0) & what) === 0) return;
    page[asked] = (page[asked] ?? 0) & ~what;
    channel.notify();
  };
  const take = (length: number): void => {
    const into = new Uint8Array(length);
    const count = input.read(into);
    if (isHonest) {
      if (count < 0) throw new Error("the end under test has written indices that make no sense");
      back.check(into.subarray(0, count), "from the end under test");
    }
    if (count > 0) signal(notifyRead);
  };
  for (let at = 0; at + stepBytes <= script.length && at < 60 * stepBytes; at += stepBytes) {
    const [what = 0, a = 0, b = 0] = script.subarray(at, at + stepBytes);
    switch (what % actions) {
      case action.give: {
        const room = Math.max(0, output.writable);
        const bytes = isHonest ? there.make(Math.min(room, a * 8)) : new Uint8Array(a);
        if (output.write(bytes) > 0) signal(notifyWritten);
        break;
      }
      case action.take:
        take(a * 8 + 1);
        break;
      case action.write:
        if (!hasEnded) follow(flow.write(back.make(a * 8)), () => undefined);
        break;
      case action.read:
        read(a * 16 + 1);
        break;
      case action.end:
        hasEnded = true;
        follow(flow.end(), () => undefined);
        break;
      case action.leave:
        isHonest &&= b === live.connected;
        page[ownLive] = b;
        channel.notify();
        break;
      case action.poke:
        isHonest = false;
        page[a < 32 ? a : (a << 4) % pageSize] = b;
        break;
      case action.jump:
        isHonest = false;
        new Int32Array(page.buffer, page.byteOffset)[a % 4] = b < 128 ? b << 4 : -b << 8;
        break;
      case action.wait:
        await world.wait(a % 4);
        break;
      default:
        if (b < 250) break;
        isHonest = false;
        flow.abort();
    }
    if (!isHonest) channel.notify();
  }
  for (let round = 0; isHonest && round < 400 && (there.got < there.put || back.got < back.put); round++) {
    take(4096);
    if (there.got < there.put) read(4096);
    await world.wait(2);
  }
  const [first] = broken;
  if (first !== undefined) throw first;
  if (isHonest && (there.got < there.put || back.got < back.put || failures > 0)) {
    throw new Error(`${there.got} of ${there.put} bytes there, ${back.got} of ${back.put} back`);
  }
  follow(flow.close(), () => undefined);
  await world.wait(linger + 100);
  if (waiting > 0) throw new Error(`${waiting} calls wait for ever`);
}

/** A script, behind the byte that chooses the sizes of the rings. */
export const fuzz: FuzzTarget = {
  name: "vchan-hostile-client",
  seeds: [
    Uint8Array.of(0, ...steps(["give", 20, 0], ["read", 99, 0], ["write", 30, 0], ["take", 40, 0], ["wait", 2, 0])),
    Uint8Array.of(0, ...conversation, ...conversation),
    Uint8Array.of(3, ...steps(["write", 255, 0], ["write", 255, 0], ["end", 0, 0], ["take", 99, 0], ["leave", 0, 3])),
    Uint8Array.of(1, ...steps(["read", 9, 0], ["jump", 1, 200], ["wait", 1, 0], ["write", 8, 0], ["leave", 0, 0])),
    Uint8Array.of(
      2,
      ...steps(["write", 255, 0], ["jump", 2, 255], ["poke", 20, 2], ["poke", 23, 128], ["abort", 0, 255]),
    ),
  ],
  run: (script) =>
    inWorld(new SeededRandom(1), turn, async (world) => {
      const server = await world.machine.createDomain();
      const client = await world.machine.createDomain();
      const before = server.holdings;
      const [readSize = 0, writeSize = 0] = [
        [1024, 2048],
        [2048, 1024],
        [2048, 4096],
        [8192, 4096],
      ][(script[0] ?? 0) % 4]!;
      const flow = await serveVchan(server, { peer: client.id, path: "data/vchan", readSize, writeSize, linger });
      const node = async (name: string): Promise<number> =>
        Number(await client.xenstore.readText(`/local/domain/${server.id}/data/vchan/${name}`));
      const [first, port] = [await node("ring-ref"), await node("event-channel")];
      const shared = client.foreign.map(server.id, [first], "read-write");
      const page = shared.bytes;
      const mapped = [shared];
      const orders = new Uint16Array(page.buffer, page.byteOffset);
      const words = new Uint32Array(page.buffer, page.byteOffset);
      let next = firstReference;
      const ring = (order: number, access: "read-only" | "read-write"): Uint8Array => {
        if (order < pageOrder) return page.subarray(2 ** order, 2 * 2 ** order);
        const count = 2 ** (order - pageOrder);
        const pages = client.foreign.map(server.id, [...words.subarray(next, next + count)], access);
        next += count;
        mapped.push(pages);
        return pages.bytes;
      };
      const left = ring(orders[leftOrder] ?? 0, "read-write");
      const right = ring(orders[rightOrder] ?? 0, "read-only");
      const indices = new Int32Array(page.buffer, page.byteOffset);
      const channel = client.events.bind(server.id, port, () => undefined);
      page[clientLive] = live.connected;
      await converse(
        world,
        flow,
        {
          ...{ page, ownLive: clientLive, asked: clientNotify, channel },
          output: new ByteRing(indices, leftConsumer, leftProducer, left),
          input: new ByteRing(indices, rightConsumer, rightProducer, right),
        },
        script.subarray(1),
      );
      channel.close();
      for (const pages of mapped) pages.unmap();
      await world.wait(10_000);
      const after = server.holdings;
      if (JSON.stringify(after) !== JSON.stringify(before)) throw new Error(`left behind: ${JSON.stringify(after)}`);
    }),
};
