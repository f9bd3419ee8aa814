import { createHash } from "node:crypto";
import type { Flow } from "@tesserae/device/flow";
import { describe, expect, test } from "vitest";
import { Timeline } from "./timeline.ts";
import { TextTrace } from "./trace.ts";
import { createWorld } from "./world.ts";

/** A pattern that no run of lost or doubled bytes leaves alike. */
function pattern(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at++) bytes[at] = Math.imul(at, 0x9e3779b1) >>> 24;
  return bytes;
}

async function digest(flow: Flow): Promise<{ readonly length: number; readonly hex: string }> {
  const hash = createHash("sha256");
  const buffer = new Uint8Array(65_536);
  let length = 0;
  for (;;) {
    const read = await flow.read(buffer);
    if (read === 0) return { length, hex: hash.digest("hex") };
    hash.update(buffer.subarray(0, read));
    length += read;
  }
}

describe("two hosts", () => {
  test("ping takes two delays", async () => {
    const world = createWorld({ link: { delay: 25 } });
    const server = world.host("server");
    const client = world.host("client");
    client.run(async () => {
      await server.ready;
      await client.ownStack.icmp.ping(server.address);
      expect(await client.ownStack.icmp.ping(server.address, { size: 1000 })).toBe(50);
    });
    await world.run();
    await world.close();
  });

  test("datagrams arrive after one delay, and keep their bounds", async () => {
    const world = createWorld({ link: { delay: 10 } });
    const server = world.host("server", { ipv4: "192.168.7.1/24" });
    const client = world.host("client", { ipv4: "192.168.7.2/24" });
    const got: string[] = [];
    client.run(async () => {
      await server.ready;
      await server.stack.udp.bind({ port: 53 }, ({ length, sourcePort }) => {
        got.push(`${length} from ${sourcePort} at ${world.now}`);
      });
      const socket = await client.stack.udp.bind({ port: 4000 }, () => undefined);
      // The first one waits until ARP has been answered.
      for (const length of [100, 0, 3000])
        expect(socket.send(pattern(length), 0, length, server.address, 53)).toBe(true);
      await new Promise<void>((done) => client.timers.timer(done).set(100));
    });
    await world.run();
    await world.close();
    expect(got).toEqual(["100 from 4000 at 30", "0 from 4000 at 30", "3000 from 4000 at 30"]);
  });

  test("10 MB arrive whole under 5 % loss and 50 ms of delay", async () => {
    const length = 10_000_000;
    const world = createWorld({ seed: "ten megabytes", link: { loss: 0.05, delay: 50 } });
    const server = world.host("server");
    const client = world.host("client");
    const sent = pattern(length);
    let received: Awaited<ReturnType<typeof digest>> | undefined;
    server.run(async ({ stack }) => {
      await new Promise<void>((ended, failed) => {
        void stack.tcp
          .listen({ port: 80 }, async (flow) => {
            received = await digest(flow);
            await flow.close();
            ended();
          })
          .catch(failed);
      });
    });
    client.run(async ({ stack }) => {
      await server.ready;
      const flow = await stack.tcp.connect({ address: server.address, port: 80 });
      await flow.write(sent);
      await flow.end();
      await flow.read(new Uint8Array(1));
      await flow.close();
    });
    const { time } = await world.run();
    await world.close();
    expect(received).toEqual({ length, hex: createHash("sha256").update(sent).digest("hex") });
    expect(time).toBeGreaterThan(1000);
    expect(world.links.reduce((sum, link) => sum + link.forward.dropped, 0)).toBeGreaterThan(100);
  });

  test("a connection survives a cut wire", async () => {
    const world = createWorld();
    const server = world.host("server");
    const client = world.host("client");
    const link = world.link(server, client, { delay: 5 });
    server.run(async ({ stack }) => {
      await stack.tcp.listen({ port: 7 }, async (flow) => {
        const buffer = new Uint8Array(1000);
        for (let read = await flow.read(buffer); read > 0; read = await flow.read(buffer)) {
          await flow.write(buffer.slice(0, read));
        }
        await flow.close();
      });
    });
    client.run(async ({ stack, timers }) => {
      await server.ready;
      const flow = await stack.tcp.connect({ address: server.address, port: 7 });
      timers.timer(() => link.mend()).set(timers.now() + 10_000);
      link.cut();
      await flow.write(pattern(500));
      const buffer = new Uint8Array(1000);
      let read = 0;
      while (read < 500) read += await flow.read(buffer);
      expect(timers.now()).toBeGreaterThan(10_000);
      await flow.close();
    });
    await world.run();
    await world.close();
  });
});

describe("a LAN", () => {
  test("100 hosts talk to one another", async () => {
    const world = createWorld({ link: { delay: 1 } });
    const hosts = Array.from({ length: 100 }, (_, index) => world.host(`h${index}`));
    let served = 0;
    for (const [index, host] of hosts.entries()) {
      host.run(async ({ stack, resolver }) => {
        await stack.tcp.listen({ port: 9 }, async (flow) => {
          served++;
          await flow.write(pattern(index + 1));
          await flow.end();
          await flow.close();
        });
        await Promise.all(hosts.map((each) => each.ready));
        for (const step of [1, 17, 50]) {
          const peer = (index + step) % hosts.length;
          const [address] = await resolver.resolve(`h${peer}`);
          const flow = await stack.tcp.connect({ address: address!, port: 9 });
          expect((await digest(flow)).length).toBe(peer + 1);
          await flow.close();
        }
      });
    }
    const { frames } = await world.run();
    await world.close();
    expect(served).toBe(300);
    expect(frames).toBeGreaterThan(300 * 8);
    expect(world.lan().switch.addresses).toBe(100);
  });

  test("hosts of two LANs do not hear one another", async () => {
    const world = createWorld();
    const a = world.host("a", { lan: "one" });
    const b = world.host("b", { lan: "two" });
    a.run(async () => {
      await b.ready;
      await expect(a.ownStack.icmp.ping(b.address, { timeout: 3000 })).rejects.toMatchObject({ name: "FlowError" });
    });
    await world.run();
    await world.close();
  });
});

describe("what is seen of a run", () => {
  async function greeting(observe: (world: ReturnType<typeof createWorld>) => void, loss = 0) {
    const world = createWorld({ seed: "greeting", link: { delay: 20, loss } });
    observe(world);
    const server = world.host("server");
    const client = world.host("client");
    server.run(async ({ stack, console }) => {
      await stack.tcp.listen({ port: 7000 }, async (flow) => {
        await flow.write(new TextEncoder().encode("hello"));
        await flow.close();
      });
      console.writeLine("listening");
    });
    client.run(async ({ stack, console }) => {
      await server.ready;
      const flow = await stack.tcp.connect({ address: server.address, port: 7000 });
      console.writeLine(`got ${(await digest(flow)).length} bytes`);
      await flow.close();
    });
    await world.run();
    await world.close();
    return world;
  }

  test("the trace has a line for every event", async () => {
    const lines: string[] = [];
    const world = await greeting((made) => made.observe(new TextTrace((line) => lines.push(line))));
    expect(lines.every((line) => /^\d+\.\d{6} (world|server|client) (\| |sends #|gets #)/.test(line))).toBe(true);
    expect(lines).toContain("0.000000 server | listening");
    expect(lines).toContain("20.000000 client gets #1 ARP announce 10.0.0.1");
    expect(lines.filter((line) => line.includes(" sends #"))).toHaveLength(world.summary().frames);
    const syn = /TCP 10\.0\.0\.2:\d+ > 10\.0\.0\.1:7000 \[S\] seq=\d+ win=\d+ len=0 mss=1460/;
    expect(lines.filter((line) => syn.test(line))).toHaveLength(2);
    expect(lines.some((line) => line.endsWith("client | got 5 bytes"))).toBe(true);
  });

  test("the timeline is a ladder between the hosts", async () => {
    const timeline = new Timeline({ width: 110 });
    await greeting((world) => world.observe(timeline));
    const [title, ...rungs] = timeline.toString().split("\n");
    expect(title).toMatch(/^ +ms {2}client +server$/);
    expect(rungs.filter((rung) => /\|--- .* -*>\|/.test(rung)).length).toBeGreaterThanOrEqual(3);
    expect(rungs.filter((rung) => /\|<-* .* ---\|/.test(rung)).length).toBeGreaterThanOrEqual(3);
    expect(rungs.find((rung) => rung.includes("[P.]"))).toContain("seq=1-6");
  });

  test("watching changes nothing", async () => {
    const plain = await greeting(() => undefined, 0.1);
    const watched = await greeting((world) => {
      world.observe(new Timeline());
      world.observe(new TextTrace(() => undefined));
    }, 0.1);
    expect(watched.summary()).toEqual(plain.summary());
  });
});
