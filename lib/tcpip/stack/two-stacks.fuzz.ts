import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { FramePeer } from "@tesserae/conformance/frame-peer";
import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { IpAddress, MacAddress, Prefix } from "@tesserae/device/address";
import { type Flow, FlowError } from "@tesserae/device/flow";
import { createLink, type Link } from "@tesserae/netif/link";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { HostileNetwork } from "./hostile-network.ts";
import { createStack, type IpStack } from "./stack.ts";

const port = 7;
/** Rounds of promises that an application's turn may take. */
const turns = 12;
/** Connections that one run may open. */
const mostConnections = 3;
/** Bytes that one end may write in all: enough for every buffer to fill. */
const mostWritten = 400_000;
const instructionSize = 4;
const mostInstructions = 400;
/** Virtual time by which everything must be over once the network is good again, milliseconds. */
const patience = 1_200_000;

/** The byte at that offset of the stream which that end of that connection writes. */
function streamByte(stream: number, offset: number): number {
  return (offset * 31 + (offset >>> 8) * 7 + stream * 101 + 3) & 255;
}

/** One end of a connection, and the application that drives it. */
class End {
  readonly flow: Flow;
  readonly stream: number;
  readonly peerStream: number;
  written = 0;
  read = 0;
  hasEnded = false;
  sawEnd = false;
  error: FlowError | undefined;
  isWrong = false;
  drains = false;
  #isReading = false;
  #reads = 0;

  constructor(flow: Flow, stream: number, peerStream: number) {
    this.flow = flow;
    this.stream = stream;
    this.peerStream = peerStream;
  }

  write(length: number, more: boolean): void {
    const size = Math.min(length, mostWritten - this.written);
    if (size === 0 || this.hasEnded) return;
    const bytes = Uint8Array.from({ length: size }, (_, index) => streamByte(this.stream, this.written + index));
    this.written += size;
    this.flow.write(bytes, more).catch((error: unknown) => this.#failed(error));
  }

  readSome(length: number): void {
    this.#reads++;
    if (!this.#isReading) void this.#readLoop(length);
  }

  /** Reads until the end. */
  drain(): void {
    this.drains = true;
    this.readSome(8192);
  }

  end(): void {
    if (this.hasEnded) return;
    this.hasEnded = true;
    this.flow.end().catch((error: unknown) => this.#failed(error));
  }

  close(): void {
    this.hasEnded = true;
    void this.flow.close();
  }

  abort(): void {
    this.hasEnded = true;
    this.error ??= new FlowError("aborted", "");
    this.flow.abort();
  }

  async #readLoop(length: number): Promise<void> {
    this.#isReading = true;
    const into = new Uint8Array(length);
    try {
      while ((this.#reads > 0 || this.drains) && !this.sawEnd) {
        this.#reads--;
        const count = await this.flow.read(into);
        if (count === 0) this.sawEnd = true;
        for (let at = 0; at < count; at++) {
          if (into[at] !== streamByte(this.peerStream, this.read + at)) this.isWrong = true;
        }
        this.read += count;
      }
    } catch (error) {
      this.#failed(error);
    } finally {
      this.#isReading = false;
    }
  }

  #failed(error: unknown): void {
    if (!(error instanceof FlowError)) throw error;
    this.error ??= error;
  }
}

class World {
  readonly clock = new VirtualClock();
  readonly errors: unknown[] = [];
  readonly timers = new Scheduler(this.clock, { onError: (error) => void this.errors.push(error) });
  readonly links: readonly [Link, Link];
  readonly network: HostileNetwork;
  readonly stacks: IpStack[] = [];
  /** Connection i has the ends 2i (which connected) and 2i + 1. */
  readonly ends = new Map<number, End>();
  #connecting = 0;
  #acceptedCount = 0;
  readonly #byPort = new Map<number, number>();

  constructor(mtu: number) {
    const link = (side: number): Link =>
      createLink({
        timers: this.timers,
        queue: 512,
        mtu,
        macs: [new MacAddress(0x0200, side + 1), new MacAddress(0x0200, side + 3)],
      });
    this.links = [link(0), link(1)];
    const peers = [new FramePeer(this.links[0].b), new FramePeer(this.links[1].b)] as const;
    this.network = new HostileNetwork(peers, this.timers);
  }

  async start(settings: number): Promise<void> {
    const buffer = [2048, 8192, 65_536, 262_144][settings & 3]!;
    for (const side of [0, 1]) {
      this.stacks.push(
        await createStack({
          netif: this.links[side]!.a,
          timers: this.timers,
          random: new SeededRandom(side + 1),
          ipv4: { kind: "static", address: Prefix.parse(`10.0.0.${side + 1}/24`) },
          ipv6: { kind: "off" },
          tcp: {
            receiveBuffer: buffer,
            maxReceiveBuffer: buffer * 4,
            sendBuffer: buffer,
            maxSendBuffer: buffer * 4,
            timestamps: (settings & 4) === 0,
            ...((settings & 8) === 0 ? {} : { congestion: "newreno" }),
            ...((settings & 16) === 0 ? {} : { maxHalfOpen: 1 }),
          },
          onError: (error) => void this.errors.push(error),
        }),
      );
    }
    this.stacks[1]!.tcp.open({ port }, (flow) => {
      const index = this.#byPort.get(flow.remote.port) ?? this.#connecting - 1;
      // A forged SYN may open more than the application did.
      if (this.ends.has(index * 2 + 1) || this.#acceptedCount++ > 16) {
        flow.abort();
        return;
      }
      this.ends.set(index * 2 + 1, new End(flow, index * 2 + 1, index * 2));
    });
    await this.settle();
  }

  connect(): void {
    if (this.#connecting >= mostConnections) return;
    const index = this.#connecting++;
    const connecting = this.stacks[0]!.tcp.connect({ address: IpAddress.parse("10.0.0.2"), port });
    connecting.then(
      (flow) => {
        this.#byPort.set(flow.local.port, index);
        this.ends.set(index * 2, new End(flow, index * 2, index * 2 + 1));
      },
      (error: unknown) => {
        if (!(error instanceof FlowError)) this.errors.push(error);
      },
    );
  }

  /** Lets everything that is due at this moment happen. */
  async settle(): Promise<void> {
    for (let idle = 0; idle < 2;) {
      for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      const moved = this.network.carry();
      const isDue = this.timers.nextDeadline() <= this.clock.now();
      if (isDue) this.timers.run();
      idle = moved || isDue ? 0 : idle + 1;
    }
  }

  async advance(ms: number): Promise<void> {
    const end = this.clock.now() + ms;
    for (;;) {
      await this.settle();
      this.#check();
      const next = this.timers.nextDeadline();
      if (next > end) break;
      this.clock.advanceTo(Math.max(next, this.clock.now()));
    }
    this.clock.advanceTo(end);
    await this.settle();
  }

  /** What must hold at any time. */
  #check(): void {
    if (this.errors.length > 0) throw new Error("a callback threw", { cause: this.errors[0] });
    if (this.network.hasForged) return;
    for (const [index, end] of this.ends) {
      if (end.isWrong) throw new Error(`end ${index} read other bytes than were written`);
      const other = this.ends.get(index ^ 1);
      if (other !== undefined && end.read > other.written) throw new Error(`end ${index} read more than was written`);
    }
  }

  /** The network is good again, and the applications read and close: everything must come to its end. */
  async finish(): Promise<void> {
    this.network.relent();
    for (let waited = 0; waited < patience; waited += 10_000) {
      for (const end of this.ends.values()) {
        end.drain();
        end.end();
        // A peer that has died in silence is waited for without end: the application loses patience.
        if (end.sawEnd || end.error !== undefined || waited >= patience / 2) end.close();
      }
      await this.advance(10_000);
      if (this.stacks.every(({ tcp: { statistics } }) => statistics.connections + statistics.halfOpen === 0)) break;
    }
    // What a flow that died still has to read is its owner's, until that closes it.
    for (const end of this.ends.values()) end.close();
    await this.advance(130_000);
    for (const { tcp } of this.stacks) {
      const { connections, halfOpen, timeWait, bufferBytes } = tcp.statistics;
      if (connections + halfOpen + timeWait > 0) {
        const left = tcp.connections().map(({ state }) => state);
        throw new Error(`${connections} connections (${left.join()}), ${halfOpen}, ${timeWait} never ended`);
      }
      if (bufferBytes > 0) throw new Error(`${bufferBytes} bytes of buffers are held by nobody`);
    }
    if (!this.network.hasForged) this.#checkComplete();
    await this.#close();
  }

  /** What neither end gave up has arrived to the last byte. */
  #checkComplete(): void {
    for (const [index, end] of this.ends) {
      const other = this.ends.get(index ^ 1);
      if (other === undefined || end.error !== undefined || other.error !== undefined) continue;
      if (end.sawEnd && end.read !== other.written) {
        throw new Error(`end ${index} read ${end.read} of ${other.written} bytes, then the end`);
      }
    }
  }

  async #close(): Promise<void> {
    for (const stack of this.stacks) await stack.close();
    await this.settle();
    for (const { a } of this.links) {
      let pages = 0;
      while (a.allocate() !== undefined) pages++;
      if (pages !== 1024) throw new Error(`${1024 - pages} pages were lost`);
    }
  }
}

/** Milliseconds: 0, then 1 to 131,072 by powers of two with one step between. */
function time(code: number): number {
  return code === 0 ? 0 : (2 + (code & 1)) * 2 ** ((code >>> 1) % 17) * 0.5;
}

/** One instruction of four bytes: what, at which end or in which direction, and two numbers. */
function step(world: World, [what = 0, who = 0, a = 0, b = 0]: readonly number[]): void {
  const { network } = world;
  const end = world.ends.get(who % (2 * mostConnections));
  const side = who & 1;
  switch (what % 16) {
    case 0:
      world.connect();
      break;
    case 1:
      end?.write((a << 8) | b, (what & 16) !== 0);
      break;
    case 2:
      end?.readSome(1 + ((a << 4) | (b & 15)));
      break;
    case 3:
      end?.drain();
      break;
    case 4:
      end?.end();
      break;
    case 5:
      end?.close();
      break;
    case 6:
      // Rarely: an abort ends what could still become interesting.
      if (a > 200) end?.abort();
      else network.pattern(side, (a << 8) | b);
      break;
    case 7:
      network.plan(side, { kind: "delay", time: time(a), frames: 1 + (b % 8) });
      break;
    case 8:
      network.plan(side, { kind: "drop", time: 0, frames: 1 + (b % 16) });
      break;
    case 9:
      network.plan(side, { kind: "duplicate", time: time(a), frames: 1 + (b % 8) });
      break;
    case 10:
      network.plan(side, { kind: "flip", time: (a << 8) | b, frames: 1 });
      break;
    case 11:
      network.plan(side, { kind: "truncate", time: (a << 8) | b, frames: 1 });
      break;
    case 12:
      network.replay(side, a);
      break;
    case 13:
      if (a > 127) network.forge(side, a, b);
      else network.mark(side, b);
      break;
    case 14:
      network.tooBig(side, 256 + (((a << 8) | b) % 1300));
      break;
    default:
      network.limit(side, (a << 8) | b);
      break;
  }
}

/** An opening, some traffic, and what the network does, as seeds of what is to be found by mutation. */
function program(...instructions: readonly (readonly [number, number, number, number, number])[]): Uint8Array {
  // The fifth number is how long to wait afterwards.
  return Uint8Array.from([0, ...instructions.flatMap(([what, who, a, b, wait]) => [what, who, a, b, wait])]);
}

/**
 * Two of our stacks that talk through a network which does to each frame what the input says: nothing, loses it, sends
 * it twice, holds it, damages it, sends an old one again, forges one. What is read must be what was written, as long as
 * nothing was forged; in any case nothing throws, and once the network is good again everything comes to its end.
 */
export const fuzz: FuzzTarget = {
  name: "two-stacks",
  seeds: [
    program([0, 0, 0, 0, 8], [1, 0, 40, 0, 8], [3, 1, 0, 0, 20], [4, 0, 0, 0, 12], [5, 1, 0, 0, 12]),
    program([0, 0, 0, 0, 8], [8, 0, 0, 2, 0], [1, 0, 90, 0, 8], [3, 1, 0, 0, 20], [5, 0, 0, 0, 12]),
    program([0, 0, 0, 0, 8], [6, 0, 0x12, 0x48, 0], [6, 1, 0x10, 4, 0], [1, 0, 255, 0, 8], [3, 1, 0, 0, 20]),
    program([0, 0, 0, 0, 8], [7, 0, 14, 3, 0], [1, 0, 60, 0, 4], [9, 1, 6, 4, 4], [1, 1, 60, 0, 4], [3, 0, 0, 0, 16]),
    program([0, 0, 0, 0, 8], [1, 0, 255, 255, 22], [2, 1, 20, 0, 22], [3, 1, 0, 0, 10], [5, 0, 0, 0, 9]),
    program([0, 0, 0, 0, 8], [13, 0, 200, 4, 4], [13, 1, 190, 2, 4], [12, 0, 3, 0, 4], [1, 1, 9, 0, 4]),
    program([8, 1, 0, 1, 0], [0, 0, 0, 0, 22], [10, 0, 1, 30, 0], [1, 0, 30, 0, 12], [4, 0, 0, 0, 2], [4, 1, 0, 0, 2]),
    program([0, 0, 0, 0, 8], [13, 0, 3, 0, 0], [14, 0, 2, 80, 0], [1, 0, 200, 0, 9], [15, 0, 3, 0, 0], [3, 1, 0, 0, 9]),
  ],
  async run(input) {
    const settings = input[0] ?? 0;
    const world = new World((settings & 32) === 0 ? 1500 : 576);
    await world.start(settings);
    const size = instructionSize + 1;
    for (let at = 1, count = 0; at < input.length && count < mostInstructions; at += size, count++) {
      const instruction = input.subarray(at, at + size);
      step(world, [...instruction]);
      await world.advance(time(instruction[instructionSize] ?? 0));
    }
    await world.finish();
  },
};
