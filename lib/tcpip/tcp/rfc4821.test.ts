import { IpAddress } from "@tesserae/device/address";
import type { Flow } from "@tesserae/device/flow";
import type { Random } from "@tesserae/device/random";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { runVirtual } from "@tesserae/time/virtual-run";
import { describe, expect, test } from "vitest";
import { MemoryIp } from "./memory-ip.ts";
import { NarrowPaths } from "./narrow-paths.ts";
import type { ConnectionStatistics } from "./statistics.ts";
import { createTcp, type TcpHost, type TcpNeeds } from "./tcp.ts";

class CountingRandom implements Random {
  #next = 1;

  uint32(): number {
    this.#next = (Math.imul(this.#next, 1_664_525) + 1_013_904_223) | 0;
    return this.#next >>> 0;
  }

  fill(bytes: Uint8Array): void {
    for (let index = 0; index < bytes.length; index++) bytes[index] = this.uint32() >>> 24;
  }
}

/** Two hosts with links of 1500 bytes, and between them a router that drops what is longer than `mtu` and says nothing. */
class BlackHole {
  readonly clock = new VirtualClock();
  readonly scheduler = new Scheduler(this.clock);
  readonly client: TcpHost;
  readonly server: TcpHost;
  readonly #random = new CountingRandom();
  mtu: number;
  dropped = 0;
  loss = 0;

  constructor(mtu: number, family: 4 | 6, options: Partial<TcpNeeds> = {}) {
    this.mtu = mtu;
    const a = IpAddress.parse(family === 4 ? "10.0.0.1" : "fd00::1");
    const b = IpAddress.parse(family === 4 ? "10.0.0.2" : "fd00::2");
    const header = family === 4 ? 20 : 40;
    const carry = (to: () => MemoryIp) => (bytes: Uint8Array, offset: number, length: number) => {
      if (length + header > this.mtu) {
        this.dropped++;
        return;
      }
      if (this.#random.uint32() < this.loss * 2 ** 32) return;
      const packet = bytes.slice(offset, offset + length);
      this.scheduler.timer(() => to().deliver(packet, 0, packet.length)).set(this.clock.now() + 5);
    };
    const ipA: MemoryIp = new MemoryIp(
      a,
      b,
      carry(() => ipB),
    );
    const ipB: MemoryIp = new MemoryIp(
      b,
      a,
      carry(() => ipA),
    );
    const needs = { timers: this.scheduler, random: this.#random, ...options };
    this.client = createTcp({ ...needs, ip: ipA });
    this.server = createTcp({ ...needs, ip: ipB });
    this.address = b;
  }

  readonly address: IpAddress;

  run<T>(promise: Promise<T>): Promise<T> {
    const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
    return runVirtual({ clock: this.clock, schedulers: [this.scheduler], turn }, promise);
  }

  /** A connection to a server that reads and drops everything. */
  async connect(): Promise<Flow> {
    if (this.#sinks++ === 0) {
      await this.server.listen({ port: 9 }, async (flow) => {
        const into = new Uint8Array(65_536);
        while ((await flow.read(into)) > 0);
        await flow.close();
      });
    }
    return this.run(this.client.connect({ address: this.address, port: 9 }));
  }

  #sinks = 0;

  /** Sends so many bytes and waits until they are acknowledged. */
  async transfer(flow: Flow, bytes: number): Promise<ConnectionStatistics> {
    await this.run(flow.write(new Uint8Array(bytes)));
    await this.run(this.wait(() => this.connection.sendBuffered === 0));
    return this.connection;
  }

  async wait(done: () => boolean): Promise<void> {
    while (!done()) {
      await new Promise<void>((resolve) => this.scheduler.timer(resolve).set(this.clock.now() + 10));
    }
  }

  get connection(): ConnectionStatistics {
    const [connection] = this.client.connections();
    if (connection === undefined) throw new Error("the connection is gone");
    return connection;
  }
}

describe.each([4, 6] as const)("RFC 4821 over IPv%i", (family) => {
  const header = (family === 4 ? 20 : 40) + 32;

  test("a path that silently drops long packets from the start is used as far as it goes", async () => {
    const path = new BlackHole(1400, family);
    const flow = await path.connect();
    const connection = await path.transfer(flow, 2_000_000);
    expect(connection).toMatchObject({ mss: 1400 - header, pathMtu: 1400, bytesAcknowledged: 2_000_000 });
    // One hole, then probes; a probe that is lost costs no window.
    expect(path.client.statistics).toMatchObject({ blackHoles: 1, fastRetransmits: 0 });
    expect(path.client.statistics.retransmissionTimeouts).toBeLessThanOrEqual(3);
    expect(path.dropped).toBeLessThan(40);
  });

  test("one that becomes narrow in the middle, too; and it is wide again when it is", async () => {
    const path = new BlackHole(1500, family);
    const flow = await path.connect();
    expect(await path.transfer(flow, 500_000)).toMatchObject({ mss: 1500 - header });
    path.mtu = 1420;
    // What was in flight is sent again in short segments; what follows shows how long they can be.
    await path.transfer(flow, 2_000_000);
    expect(await path.transfer(flow, 2_000_000)).toMatchObject({ mss: 1420 - header });
    path.mtu = 1500;
    path.clock.advanceTo(path.clock.now() + 600_000);
    expect(await path.transfer(flow, 2_000_000)).toMatchObject({ mss: 1500 - header, pathMtu: 1500 });
  });

  test("the next connection knows, and one after ten minutes tries again", async () => {
    const path = new BlackHole(1400, family);
    const first = await path.connect();
    await path.transfer(first, 2_000_000);
    await path.run(first.close());
    path.dropped = 0;
    const second = await path.connect();
    expect(await path.transfer(second, 300_000)).toMatchObject({ mss: 1400 - header });
    expect(path.dropped).toBe(0);
    await path.run(second.close());
    path.clock.advanceTo(path.clock.now() + 700_000);
    path.mtu = 1500;
    const third = await path.connect();
    expect(await path.transfer(third, 10_000)).toMatchObject({ mss: 1500 - header });
  });

  test("a peer without SACK gets through, too, and is not probed", async () => {
    const path = new BlackHole(1300, family, { sack: false });
    const flow = await path.connect();
    const connection = await path.transfer(flow, 200_000);
    expect(connection.mss).toBeLessThanOrEqual(1300 - header);
    expect(path.client.statistics).toMatchObject({ blackHoles: 1, pathProbes: 0 });
  });
});

test("when nothing at all gets through for a while, segments are as long as before soon after", async () => {
  const path = new BlackHole(1500, 4);
  const flow = await path.connect();
  await path.transfer(flow, 100_000);
  path.mtu = 0;
  await path.run(flow.write(new Uint8Array(2_000_000).subarray(0, 100_000)));
  const end = path.clock.now() + 20_000;
  await path.run(path.wait(() => path.clock.now() >= end));
  expect(path.connection.mss).toBeLessThan(1448);
  path.mtu = 1500;
  expect(await path.transfer(flow, 500_000)).toMatchObject({ mss: 1448 });
});

test("a lossy path is not taken for a narrow one for long", async () => {
  const path = new BlackHole(1500, 4);
  path.loss = 0.1;
  const flow = await path.connect();
  expect((await path.transfer(flow, 2_000_000)).mss).toBe(1448);
});

test("a path of 576 bytes is found, step by step", async () => {
  const path = new BlackHole(576, 4);
  const flow = await path.connect();
  expect(await path.transfer(flow, 2_000_000)).toMatchObject({ bytesAcknowledged: 2_000_000, pathMtu: 576 });
});

test("narrow paths are remembered for ten minutes, the oldest forgotten first", () => {
  const paths = new NarrowPaths(2);
  const [a, b, c] = ["10.0.0.1", "10.0.0.2", "fd00::3"].map((text) => IpAddress.parse(text));
  paths.set(a!, 1400, 0);
  paths.set(b!, 1300, 1);
  paths.set(a!, 1380, 2);
  paths.set(c!, 1200, 3);
  expect([a, b, c].map((each) => paths.get(each!, 10))).toEqual([1380, Infinity, 1200]);
  expect(paths.get(a!, 600_001)).toBe(1380);
  expect(paths.get(a!, 600_002)).toBe(Infinity);
  paths.delete(c!);
  expect(paths.get(c!, 10)).toBe(Infinity);
});
