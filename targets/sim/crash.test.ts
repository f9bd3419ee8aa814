import { blockSuite } from "@tesserae/conformance/block";
import { kvSuite, writableKvSuite } from "@tesserae/conformance/kv";
import type { ImagePlan } from "@tesserae/image/plan";
import { Skipped } from "@tesserae/conformance/suite";
import { sleep } from "@tesserae/time/sleep";
import { describe, expect, test } from "vitest";
import { HostCrashedError, type Host } from "./host.ts";
import { createWorld, type World } from "./world.ts";

const text = (bytes: Uint8Array | undefined): string | undefined =>
  bytes === undefined ? undefined : new TextDecoder().decode(bytes);
const bytesOf = (words: string): Uint8Array => new TextEncoder().encode(words);

/** A server that counts its requests on its disk, and answers with the count. */
async function counter({ kv, stack }: Host): Promise<void> {
  let count = Number(text(await kv.get("count")) ?? "0");
  await stack.tcp.listen({ port: 7 }, async (flow) => {
    await kv.set("count", bytesOf(String(++count)));
    await flow.write(bytesOf(String(count)));
    await flow.end();
    await flow.close();
  });
}

async function ask(client: Host, server: Host): Promise<string> {
  const flow = await client.stack.tcp.connect({ address: server.address, port: 7 });
  const buffer = new Uint8Array(100);
  const length = await flow.read(buffer);
  await flow.close();
  return text(buffer.subarray(0, length)) ?? "";
}

describe("a host that crashes", () => {
  test("loses connections, timers and tasks at once, and keeps its disk", async () => {
    const world = createWorld({ link: { delay: 5 } });
    const server = world.host("server", { main: counter });
    const client = world.host("client");
    const fired: string[] = [];
    const late = server.run(async ({ timers }) => {
      await sleep(timers, 10_000);
      fired.push("the timer of a crashed host");
    }, "sleeper");
    client.run(async () => {
      await server.ready;
      await sleep(world.timers, 1);
      expect(await ask(client, server)).toBe("1");
      expect(await ask(client, server)).toBe("2");
      const open = await client.stack.tcp.connect({ address: server.address, port: 7 });
      const before = server.timers;
      server.crash();
      expect(server.up).toBe(false);
      expect(before.pending).toBe(0);
      expect(() => server.stack).toThrow(`host "server" has no stack`);
      await expect(late).rejects.toBeInstanceOf(HostCrashedError);
      await expect(late).rejects.toThrow(`host "server" crashed while "server: sleeper" was running`);
      await sleep(world.timers, 20_000);
      await server.restart();
      await sleep(world.timers, 1);
      // The third request, if there was one, may have got to the disk or not.
      expect(["3", "4"]).toContain(await ask(client, server));
      // What is left of the old connection is told that nobody knows it.
      await expect(open.write(bytesOf("x")).then(() => open.read(new Uint8Array(1)))).rejects.toMatchObject({
        name: "FlowError",
      });
      await open.close().catch(() => undefined);
    });
    await world.run();
    expect(fired).toEqual([]);
    expect(server.life).toBe(2);
    await world.close();
  });

  test("starts its monotonic clock from 0, and keeps its wall clock and console", async () => {
    const world = createWorld();
    const host = world.host("a", { clock: { offset: 500, rate: 2 } });
    world.task("test", async () => {
      host.console.writeLine("before");
      const old = host.console;
      await sleep(world.timers, 1000);
      const wall = host.timers.wall();
      await host.restart();
      old.writeLine("of the dead");
      expect(host.timers.now()).toBe(0);
      expect(host.timers.wall()).toBe(wall);
      await sleep(host.timers, 100);
      expect(world.now).toBe(1050);
      host.console.writeLine("after");
      expect(host.console.lines).toEqual(["before", "after"]);
    });
    await world.run();
    await world.close();
  });

  test("what the dead stack still does comes to nothing", async () => {
    const world = createWorld({ link: { delay: 5 } });
    const a = world.host("a");
    const b = world.host("b");
    const got: number[] = [];
    world.task("test", async () => {
      await Promise.all([a.ready, b.ready]);
      await b.stack.udp.bind({ port: 9 }, ({ length }) => got.push(length));
      const { stack, ownStack, netif } = a;
      const socket = await stack.udp.bind({}, () => undefined);
      await ownStack.icmp.ping(b.address);
      expect(socket.send(new Uint8Array(10), 0, 10, b.address, 9)).toBe(true);
      await sleep(world.timers, 10);
      a.crash();
      socket.send(new Uint8Array(11), 0, 11, b.address, 9);
      expect(netif.allocate()).toBeUndefined();
      void a.restart();
      socket.send(new Uint8Array(12), 0, 12, b.address, 9);
      await a.ready;
      await a.ownStack.icmp.ping(b.address);
      socket.send(new Uint8Array(13), 0, 13, b.address, 9);
      await sleep(world.timers, 100);
    });
    await world.run();
    await world.close();
    expect(got).toEqual([10]);
  });

  test("main runs again after each restart, and what it throws fails the run", async () => {
    const world = createWorld();
    const lives: number[] = [];
    const host = world.host("a", {
      main: async ({ life, timers }) => {
        lives.push(life);
        if (life === 3) throw new Error("third time unlucky");
        await sleep(timers, 1e9);
      },
    });
    world.task("power", async () => {
      for (;;) {
        await sleep(world.timers, 10);
        await host.restart();
      }
    });
    await expect(world.run()).rejects.toThrow("third time unlucky");
    expect(lives).toEqual([1, 2, 3]);
  });

  test("the seed fixes a run with crashes", async () => {
    const run = async (seed: string): Promise<World> => {
      const world = createWorld({ seed, link: { delay: 1, loss: 0.05 } });
      const server = world.host("server", { main: counter, kv: { writeBack: 50 } });
      const client = world.host("client");
      client.run(async () => {
        await server.ready;
        for (let turn = 0; turn < 20; turn++) {
          await sleep(world.timers, world.random.below(100));
          if (turn % 5 === 4) await server.restart();
          else await ask(client, server).catch(() => undefined);
        }
      });
      await world.run();
      await world.close();
      return world;
    };
    const one = await run("x");
    expect((await run("x")).summary()).toEqual(one.summary());
    expect((await run("y")).summary().hash).not.toBe(one.summary().hash);
  });
});

describe("an image on a host that crashes", () => {
  const plan: ImagePlan = {
    name: "counter",
    target: "sim",
    keys: [],
    constants: {},
    devices: ["timers", "console", "kv", "block"].map((kind) => ({ id: kind, kind, base: true })),
    bindings: { timers: "timers", console: "console", kv: "kv", disk: "block" },
    async main(devices) {
      const { timers, console, kv, disk } = devices as Pick<Host, "timers" | "console" | "kv" | "disk">;
      for (;;) {
        const count = Number(text(await kv.get("count")) ?? "0") + 1;
        await kv.set("count", bytesOf(String(count)));
        await disk.write(count, new Uint8Array(512).fill(count));
        await disk.flush();
        console.writeLine(`count ${count}`);
        await sleep(timers, 1000);
        if (count === 5) return;
      }
    },
  };

  test("starts anew with its devices of the disk, and has finished when the last of its lives has", async () => {
    const world = createWorld({ plan });
    const host = world.image("a");
    world.task("power", async () => {
      await sleep(world.timers, 1500);
      host.crash();
      await sleep(world.timers, 10_000);
      void host.restart();
      await host.finished;
      const into = new Uint8Array(2 * 512);
      await host.disk.read(2, into);
      expect([into[0], into[512]]).toEqual([2, 3]);
    });
    await world.run();
    await world.close();
    expect(host.console.lines).toEqual([1, 2, 3, 4, 5].map((count) => `count ${count}`));
    expect(host.life).toBe(2);
    expect(world.now).toBeGreaterThan(14_000);
  });
});

describe("a host that is paused", () => {
  test("fires no timer and takes no frame until it goes on", async () => {
    const world = createWorld({ link: { delay: 1 } });
    const a = world.host("a");
    const b = world.host("b");
    const order: string[] = [];
    world.task("test", async () => {
      await Promise.all([a.ready, b.ready]);
      expect(await a.ownStack.icmp.ping(b.address)).toBe(4);
      for (const [name, at] of [
        ["second", 50],
        ["first", 40],
        ["never", 60],
        ["later", 500],
      ] as const) {
        const timer = b.timers.timer(() => order.push(`${name} at ${world.now}`));
        timer.set(at);
        if (name === "never") world.timers.timer(() => timer.cancel()).set(70);
      }
      b.pause(200);
      expect(await a.ownStack.icmp.ping(b.address)).toBe(201);
    });
    await world.run({ idle: true });
    await world.close();
    expect(order).toEqual(["first at 204", "second at 204", "later at 500"]);
  });

  test("keeps a bounded number of frames", async () => {
    const world = createWorld({ link: { delay: 1 } });
    const a = world.host("a");
    const b = world.host("b");
    let got = 0;
    world.task("test", async () => {
      await Promise.all([a.ready, b.ready]);
      await b.stack.udp.bind({ port: 9 }, () => got++);
      const socket = await a.stack.udp.bind({}, () => undefined);
      await a.ownStack.icmp.ping(b.address);
      b.pause();
      for (let burst = 0; burst < 20; burst++) {
        for (let count = 0; count < 50; count++) socket.send(new Uint8Array(1), 0, 1, b.address, 9);
        await sleep(world.timers, 1);
      }
      const { receivedFrames } = b.netif.statistics;
      b.resume();
      await sleep(world.timers, 0.5);
      expect(b.netif.statistics.receivedFrames).toBe(receivedFrames + 512);
    });
    await world.run();
    await world.close();
    // One may be ARP's.
    expect(got).toBeGreaterThanOrEqual(511);
    expect(b.netif.statistics.droppedFrames).toBeGreaterThanOrEqual(1000 - 512);
  });
});

describe("a host's clock", () => {
  test("steps forwards and back without a word to timers", async () => {
    const world = createWorld();
    const { timers } = world.host("a");
    world.task("test", async () => {
      await sleep(timers, 10);
      timers.step(-3_600_000);
      expect(timers.wall()).toBe(world.timers.wall() - 3_600_000);
      expect(timers.now()).toBe(10);
      await sleep(timers, 10);
      expect(world.now).toBe(20);
    });
    await world.run();
  });

  test("changes its rate without a jump, and armed timers keep their deadlines", async () => {
    const world = createWorld();
    const { timers } = world.host("a");
    world.task("test", async () => {
      let fired = 0;
      timers.timer(() => (fired = world.now)).set(1000);
      await sleep(world.timers, 500);
      timers.setRate(2);
      expect(timers.now()).toBe(500);
      await sleep(world.timers, 500);
      expect(fired).toBe(750);
      expect(timers.now()).toBe(1500);
      expect(timers.wall()).toBe(world.timers.wall() + 500);
      timers.setRate(1);
      expect(timers.now()).toBe(1500);
      expect(timers.wall()).toBe(world.timers.wall() + 500);
    });
    await world.run();
  });
});

describe("a partition", () => {
  async function pings(pairs: readonly (readonly [Host, Host])[]): Promise<boolean[]> {
    return Promise.all(
      pairs.map(([from, to]) =>
        from.ownStack.icmp.ping(to.address, { timeout: 500 }).then(
          () => true,
          () => false,
        ),
      ),
    );
  }

  test("separates groups until it heals, and nobody else", async () => {
    const world = createWorld({ link: { delay: 1 } });
    const [a, b, c, d] = ["a", "b", "c", "d"].map((name) => world.host(name)) as [Host, Host, Host, Host];
    world.task("test", async () => {
      await Promise.all([a, b, c, d].map((host) => host.ready));
      const all = [
        [a, b],
        [a, c],
        [c, b],
        [a, d],
        [d, c],
      ] as const;
      expect(await pings(all)).toEqual([true, true, true, true, true]);
      const partition = world.partition(["a", b], ["C"]);
      expect(await pings(all)).toEqual([true, false, false, true, true]);
      const second = world.partition([a], [d]);
      partition.heal();
      expect(await pings(all)).toEqual([true, true, true, false, true]);
      second.heal();
      world.partition([a], [b], [c], [d]);
      expect(await pings(all)).toEqual([false, false, false, false, false]);
      world.heal();
      expect(await pings(all)).toEqual([true, true, true, true, true]);
    });
    await world.run();
    await world.close();
  });

  test("stops frames on their way; one way only, it lets the others through", async () => {
    const world = createWorld({ link: { delay: 100 } });
    const a = world.host("a", { ipv4: "10.0.0.1/24" });
    const b = world.host("b", { ipv4: "10.0.0.2/24" });
    const got: string[] = [];
    world.task("test", async () => {
      await Promise.all([a.ready, b.ready]);
      expect(await pings([[a, b]])).toEqual([true]);
      const make = (host: Host) => host.stack.udp.bind({ port: 9 }, () => got.push(host.name));
      const [atA, atB] = await Promise.all([make(a), make(b)]);
      atA.send(new Uint8Array(1), 0, 1, b.address, 9);
      await sleep(world.timers, 50);
      world.sever([a], [b]);
      atB.send(new Uint8Array(1), 0, 1, a.address, 9);
      await sleep(world.timers, 200);
      expect(got).toEqual(["a"]);
    });
    await world.run();
    await world.close();
  });

  test("is refused when it makes no sense", () => {
    const world = createWorld();
    world.host("a");
    world.host("b");
    expect(() => world.partition(["a"])).toThrow("a partition needs two groups of hosts, not 1");
    expect(() => world.partition(["a"], ["a", "b"])).toThrow(`host "a" is in two groups`);
    expect(() => world.partition(["a"], ["x"])).toThrow(`there is no host "x"`);
  });
});

/** Runs one case of a suite on a host of a world of its own. */
function onHost<Subject>(
  cases: readonly { readonly name: string; run(subject: Subject): Promise<void> | void }[],
  subject: (host: Host) => Subject,
) {
  for (const each of cases) {
    test(each.name, async (context) => {
      let skipped = "";
      const world = createWorld({ seed: each.name });
      const host = world.host("a");
      world.task(each.name, async () => {
        try {
          await each.run(subject(host));
        } catch (error) {
          if (!(error instanceof Skipped)) throw error;
          skipped = error.message;
        }
      });
      await world.run();
      await world.close();
      if (skipped !== "") context.skip(skipped);
    });
  }
}

describe("the contract of Block, on a host's disk", () =>
  onHost(blockSuite, (host) => ({
    block: host.disk,
    reopen: async () => {
      await host.restart();
      return host.disk;
    },
  })));
describe("the contract of Kv, on a host's store", () =>
  onHost(kvSuite, (host) => ({
    make: async (files) => {
      for (const [key, bytes] of Object.entries(files)) await host.kv.set(key, bytes);
      return host.kv;
    },
  })));
describe("the contract of WritableKv, on a host's store", () =>
  onHost(writableKvSuite, (host) => ({ make: () => Promise.resolve(host.kv) })));

describe("a disk", () => {
  async function onDisk(body: (world: World, host: Host) => Promise<void>, seed: string): Promise<void> {
    const world = createWorld({ seed });
    const host = world.host("a", { disk: { sectors: 64 }, kv: { writeBack: 100 } });
    world.task("test", () => body(world, host));
    await world.run();
    await world.close();
  }

  test("keeps what was flushed; what was not is kept, lost or out of order, as the seed wants", async () => {
    const outcomes = new Set<string>();
    for (let seed = 0; seed < 20; seed++) {
      await onDisk(async (_, host) => {
        const sector = (value: number) => new Uint8Array(512).fill(value);
        await host.disk.write(0, sector(1));
        await host.disk.flush();
        await host.disk.write(1, sector(2));
        await host.disk.write(2, sector(3));
        await host.restart();
        const into = new Uint8Array(3 * 512);
        await host.disk.read(0, into);
        expect(into.subarray(0, 512)).toEqual(sector(1));
        outcomes.add(`${into[512]} ${into[1024]}`);
      }, `disk ${seed}`);
    }
    expect([...outcomes].sort()).toEqual(["0 0", "0 3", "2 0", "2 3"]);
  });

  test("takes its time, and answers nobody who has crashed", async () => {
    await onDisk(async (world, host) => {
      const { disk } = host;
      await disk.write(0, new Uint8Array(512));
      expect(world.now).toBeCloseTo(0.1, 9);
      await disk.flush();
      expect(world.now).toBeCloseTo(1.1, 9);
      let answered = false;
      const answer = (): void => void (answered = true);
      disk.flush().then(answer, answer);
      host.crash();
      disk.read(0, new Uint8Array(512)).then(answer, answer);
      disk.write(0, new Uint8Array(512)).then(answer, answer);
      await sleep(world.timers, 1000);
      expect(answered).toBe(false);
    }, "time");
  });

  test("a store that writes back loses the last changes, never an earlier one alone", async () => {
    const kept = new Set<number>();
    for (let seed = 0; seed < 20; seed++) {
      await onDisk(async (world, host) => {
        for (const key of ["a", "b"]) await host.kv.set(key, bytesOf("safe"));
        await sleep(world.timers, 200);
        for (const key of ["c", "d", "e"]) await host.kv.set(key, bytesOf("at risk"));
        await host.kv.delete("a");
        expect(await host.kv.list()).toEqual(["b", "c", "d", "e"]);
        await host.restart();
        const keys = (await host.kv.list()).join("");
        const outcomes = ["ab", "abc", "abcd", "abcde", "bcde"];
        expect(outcomes).toContain(keys);
        kept.add(outcomes.indexOf(keys));
      }, `store ${seed}`);
    }
    expect(kept.size).toBeGreaterThan(3);
  });
});
