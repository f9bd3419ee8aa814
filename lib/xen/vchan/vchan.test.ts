import { flowSuite } from "@tesserae/conformance/flow";
import { SeededRandom } from "@tesserae/conformance/seeded-random";
import type { Flow } from "@tesserae/device/flow";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { pageSize } from "../grant.ts";
import { inWorld as inAnyWorld, type World } from "../simulation/world.ts";
import type { SimulatedDomain } from "../simulation/domain.ts";
import { ByteRing } from "../byte-ring.ts";
import { connectVchan } from "./connect.ts";
import { serveVchan, type VchanServerOptions } from "./serve.ts";
import { areOrders, chooseOrders, clientLive, live } from "./layout.ts";
import { listenVchan } from "./listen.ts";

const turn = (): Promise<void> => new Promise(setImmediate);

function inWorld<T>(body: (world: World, a: SimulatedDomain, b: SimulatedDomain) => Promise<T>): Promise<T> {
  return inAnyWorld(new SeededRandom(1), turn, async (world) =>
    body(world, await world.machine.createDomain(), await world.machine.createDomain()),
  );
}

async function connect(
  server: SimulatedDomain,
  client: SimulatedDomain,
  options: Partial<VchanServerOptions> = {},
): Promise<[Flow, Flow]> {
  const offering = serveVchan(server, { peer: client.id, path: "data/vchan", linger: 2000, ...options });
  const path = `/local/domain/${server.id}/data/vchan`;
  const far = await connectVchan(client, { peer: server.id, path, linger: 2000 });
  return [await offering, far];
}

const sizes: Record<string, Partial<VchanServerOptions>> = {
  "rings in the page": { readSize: 1024, writeSize: 2048 },
  "one ring in the page": { readSize: 2048, writeSize: 8192 },
  "rings of 64 KiB": {},
};

for (const [name, options] of Object.entries(sizes)) {
  for (const side of ["server", "client"] as const) {
    describe(`conformance: ${name}, from the ${side}`, () => {
      for (const each of flowSuite) {
        // Millions of bytes through a kilobyte take their time.
        test(each.name, { timeout: 120_000 }, () =>
          inWorld((world, a, b) => {
            let last: SimulatedDomain | undefined;
            return each.run({
              timers: world.timers,
              connect: async () => {
                last ??= a;
                const [server, client] = await connect(last, b, options);
                last = await world.machine.createDomain();
                return side === "server" ? { near: server, far: client } : { near: client, far: server };
              },
            });
          }),
        );
      }
    });
  }
}

describe("layout of io/libxenvchan.h", () => {
  test("orders are those of libxenvchan", () => {
    expect(chooseOrders(1, 1)).toEqual([10, 11]);
    expect(chooseOrders(1024, 2048)).toEqual([10, 11]);
    expect(chooseOrders(2048, 1024)).toEqual([11, 10]);
    expect(chooseOrders(2048, 2048)).toEqual([11, 12]);
    expect(chooseOrders(4096, 1024)).toEqual([12, 11]);
    expect(chooseOrders(4097, 65_536)).toEqual([13, 16]);
    expect(areOrders(10, 11) && areOrders(12, 12) && areOrders(20, 10)).toBe(true);
    expect(areOrders(10, 10) || areOrders(9, 12) || areOrders(12, 21)).toBe(false);
  });

  test("the page is as a C client finds it, and bytes go where it looks", () =>
    inWorld(async (world, server, client) => {
      const flow = await serveVchan(server, {
        peer: client.id,
        path: "data/vchan",
        readSize: 1000,
        writeSize: 8192,
      });
      const read = async (name: string): Promise<number> =>
        Number(await client.xenstore.readText(`/local/domain/${server.id}/data/vchan/${name}`));
      const { bytes } = client.foreign.map(server.id, [await read("ring-ref")], "read-write");
      const view = new DataView(bytes.buffer, bytes.byteOffset, pageSize);
      expect([view.getUint16(16, true), view.getUint16(18, true)]).toEqual([11, 13]);
      // The client is awaited, the server there, and wants to hear of what is written.
      expect([...bytes.subarray(20, 24)]).toEqual([2, 1, 1, 0]);
      const references = [view.getUint32(24, true), view.getUint32(28, true)];
      const right = client.foreign.map(server.id, references, "read-only").bytes;
      let events = 0;
      const channel = client.events.bind(server.id, await read("event-channel"), () => events++);
      view.setUint8(20, 1);
      view.setUint8(23, 1);
      await flow.write(new Uint8Array([1, 2, 3]));
      expect([...right.subarray(0, 4)]).toEqual([1, 2, 3, 0]);
      expect(view.getUint32(12, true)).toBe(3);
      await world.wait();
      expect(events).toBeGreaterThan(0);
      // It was told once; it asks again when it needs to.
      expect(view.getUint8(23)).toBe(0);
      bytes.set([7, 8], 2048);
      view.setUint32(4, 2, true);
      channel.notify();
      const into = new Uint8Array(8);
      expect(await flow.read(into)).toBe(2);
      expect([...into.subarray(0, 3)]).toEqual([7, 8, 0]);
      expect(view.getUint32(0, true)).toBe(2);
      // libxenvchan_close of the client.
      view.setUint8(20, 0);
      channel.notify();
      expect(await flow.read(into)).toBe(0);
      await expect(flow.write(into)).rejects.toThrow("the peer closed");
      await flow.close();
      expect(view.getUint8(21)).toBe(0);
    }));
});

describe("a vchan", () => {
  test("gives back all that it used, at both ends, and its nodes", () =>
    inWorld(async (world, a, b) => {
      const before = world.machine.audit;
      const [near, far] = await connect(a, b);
      await near.write(new Uint8Array(100));
      await Promise.all([near.close(), far.close()]);
      await world.wait(10_000);
      expect(world.machine.audit).toEqual(before);
    }));

  test("may be written to before the client has come", () =>
    inWorld(async (world, a, b) => {
      const near = await serveVchan(a, { peer: b.id, path: "data/x" });
      await near.write(new Uint8Array([5]));
      await near.end();
      await world.wait();
      const far = await connectVchan(b, { peer: a.id, path: `/local/domain/${a.id}/data/x` });
      const into = new Uint8Array(4);
      expect(await far.read(into)).toBe(1);
      expect(await far.read(into)).toBe(0);
    }));

  test("that is listened for takes one client after the other, as fast as they come", () =>
    inWorld(async (world, a, b) => {
      const before = world.machine.audit;
      const path = `/local/domain/${a.id}/data/x`;
      const listener = await listenVchan(a, { peer: b.id, path: "data/x" }, async (flow) => {
        const into = new Uint8Array(8);
        for (let count = await flow.read(into); count > 0; count = await flow.read(into)) {
          if (into[0] === 99) throw new Error("not that");
          await flow.write(into.subarray(0, count));
        }
      });
      for (let round = 0; round < 5; round++) {
        const flow = await connectVchan(b, { peer: a.id, path });
        await flow.write(new Uint8Array([round]));
        const into = new Uint8Array(8);
        expect([await flow.read(into), into[0]]).toEqual([1, round]);
        if (round === 2) {
          await flow.write(new Uint8Array([99]));
          await expect(flow.read(into)).rejects.toThrow("the peer aborted");
        }
        // The next one comes at once, while the server still has this one.
        await flow.close();
      }
      const reading = (await connectVchan(b, { peer: a.id, path })).read(new Uint8Array(1));
      const refused = expect(reading).rejects.toThrow("the peer aborted");
      await Promise.all([listener.close(), listener.close(), listener.over]);
      await refused;
      await expect(connectVchan(b, { peer: a.id, path, timeout: 200 })).rejects.toThrow("no vchan is offered");
      await world.wait(10_000);
      expect(world.machine.audit).toEqual(before);
    }));

  test("that another client has is waited for only so long", () =>
    inWorld(async (_, a, b) => {
      await connect(a, b);
      const path = `/local/domain/${a.id}/data/vchan`;
      await expect(connectVchan(b, { peer: a.id, path, timeout: 200 })).rejects.toThrow("is taken after 200 ms");
    }));

  test("goes on being offered after a restore of the server", () =>
    inWorld(async (world, a, b) => {
      const echo = async (flow: Flow): Promise<void> => {
        const into = new Uint8Array(8);
        await flow.write(into.subarray(0, await flow.read(into)));
      };
      await listenVchan(a, { peer: b.id, path: "data/x" }, echo);
      await world.tools.saveAndRestore(a, [], 1000, () => Promise.resolve());
      const flow = await connectVchan(b, { peer: a.id, path: `/local/domain/${a.id}/data/x` });
      await flow.write(new Uint8Array([3]));
      expect(await flow.read(new Uint8Array(8))).toBe(1);
    }));

  test("does not outlive a restore of either end", () =>
    inWorld(async (world, a, b) => {
      for (const saved of [a, b]) {
        const [near, far] = await connect(a, b);
        const reading = (saved === a ? near : far).read(new Uint8Array(4));
        const refused = expect(reading).rejects.toThrow("the domain was restored");
        await world.tools.saveAndRestore(saved, [], 1000, () => Promise.resolve());
        await refused;
        await Promise.all([near.close(), far.close()]);
        await world.wait(100_000);
      }
      expect(a.holdings).toEqual({ grants: 1, mappings: 0, channels: 1, pages: 1 });
      expect(b.holdings).toEqual({ grants: 1, mappings: 0, channels: 1, pages: 1 });
    }));

  test("that nobody offers is waited for only so long", () =>
    inWorld(async (_, a, b) => {
      const connecting = connectVchan(b, { peer: a.id, path: `/local/domain/${a.id}/data/x`, timeout: 500 });
      await expect(connecting).rejects.toThrow("no vchan is offered after 500 ms");
    }));

  test("is for one domain only", () =>
    inWorld(async (world, a, b) => {
      const other = await world.machine.createDomain();
      await serveVchan(a, { peer: b.id, path: "data/x" });
      const path = `/local/domain/${a.id}/data/x`;
      await expect(connectVchan(other, { peer: a.id, path, timeout: 100 })).rejects.toThrow("no vchan is offered");
    }));

  test("whose peer writes indices that make no sense is over, and says so", () =>
    inWorld(async (_, a, b) => {
      const [near] = await connect(a, b);
      const reading = near.read(new Uint8Array(4));
      const read = async (name: string): Promise<number> =>
        Number(await b.xenstore.readText(`/local/domain/${a.id}/data/vchan/${name}`));
      const { bytes } = b.foreign.map(a.id, [await read("ring-ref")], "read-write");
      new DataView(bytes.buffer, bytes.byteOffset).setUint32(4, 0x8000_0000, true);
      (near as unknown as { signalled(): void }).signalled();
      await expect(reading).rejects.toThrow("the peer's indices make no sense");
    }));

  test("to orders that cannot be is refused, and nothing stays mapped", () =>
    inWorld(async (_, a, b) => {
      const page = a.allocate(1);
      new Uint16Array(page.bytes.buffer, 16, 2).set([10, 10]);
      page.bytes.set([live.awaited, live.connected], clientLive);
      await a.xenstore.write("data/x/ring-ref", String(a.grants.grant(page, 0, b.id, "read-write")));
      await a.xenstore.write("data/x/event-channel", "5");
      await a.xenstore.setPermissions("data/x/ring-ref", [`n${a.id}`, `r${b.id}`]);
      await a.xenstore.setPermissions("data/x/event-channel", [`n${a.id}`, `r${b.id}`]);
      const connecting = connectVchan(b, { peer: a.id, path: `/local/domain/${a.id}/data/x` });
      await expect(connecting).rejects.toThrow("rings of order 10 and 10 cannot be");
      expect(b.holdings.mappings).toBe(0);
    }));
});

test("property: a ring of bytes gives what was put in, wherever its indices are", () => {
  const step = fc.record({ isWrite: fc.boolean(), length: fc.nat(40) });
  fc.assert(
    fc.property(fc.array(step), fc.integer(), (steps, start) => {
      const indices = new Int32Array(2).fill(start);
      const bytes = new Uint8Array(32);
      const ring = new ByteRing(indices, 0, 1, bytes);
      const other = new ByteRing(indices, 0, 1, bytes);
      const queue: number[] = [];
      let next = 0;
      for (const { isWrite, length } of steps) {
        if (isWrite) {
          const written = Uint8Array.from({ length }, () => next++);
          const count = ring.write(written);
          expect(count).toBe(Math.min(length, 32 - queue.length));
          queue.push(...written.subarray(0, count));
        } else {
          const into = new Uint8Array(length);
          const count = other.read(into);
          expect([...into.subarray(0, count)]).toEqual(queue.splice(0, count));
        }
        expect(other.readable).toBe(queue.length);
      }
    }),
  );
});
