import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { XenstoreError } from "./client.ts";
import { DomainLink, GuestLink } from "./domain-link.ts";
import { connectInMemory } from "./in-memory.ts";
import { GuestRing, pageSize, ringError, ServerRing } from "./ring.ts";
import { XenstoreServer } from "./server.ts";

function setup() {
  const server = new XenstoreServer({ timers: new Scheduler(new VirtualClock()) });
  const dom0 = connectInMemory(server, { kind: "local" }).client;
  return { server, dom0 };
}

/** A domain with a ring, and event channels that fire a moment later. */
function attach(server: XenstoreServer, domain: number, page = new Uint8Array(pageSize)) {
  const near: GuestLink = new GuestLink(page, () => queueMicrotask(() => far.signalled()));
  const far: DomainLink = new DomainLink(server, domain, page, () => queueMicrotask(() => near.signalled()));
  return { near, far, page, words: new Int32Array(page.buffer) };
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("a ring", () => {
  test("carries any bytes in any pieces, wherever its indices are", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 5000 }),
        fc.array(fc.tuple(fc.nat(1500), fc.nat(1500)), { minLength: 10, maxLength: 40 }),
        fc.integer(),
        (bytes, pieces, start) => {
          const page = new Uint8Array(pageSize);
          new Int32Array(page.buffer).fill(start, 512, 516);
          const guest = new GuestRing(page);
          const server = new ServerRing(page);
          const got: number[] = [];
          const into = new Uint8Array(2048);
          let sent = 0;
          for (const [write, read] of pieces) {
            sent += guest.write(bytes, sent, Math.min(write, bytes.length - sent));
            const count = server.peek(into, 0, read);
            server.consume(count);
            got.push(...into.subarray(0, count));
          }
          expect(got).toEqual([...bytes.subarray(0, got.length)]);
          expect(sent - got.length).toBe(server.readable);
        },
      ),
    );
  });

  test("with indices that make no sense is neither read nor written", () => {
    const page = new Uint8Array(pageSize);
    const words = new Int32Array(page.buffer);
    const server = new ServerRing(page);
    words[513] = 1025;
    words[514] = 5;
    expect(server.peek(new Uint8Array(10), 0, 10)).toBe(-1);
    expect(server.write(new Uint8Array(10), 0, 10)).toBe(-1);
  });
});

describe("a domain behind a ring", () => {
  test("asks and is answered, with more than the ring holds", async () => {
    const { server, dom0 } = setup();
    await dom0.make("/local/domain/3");
    await dom0.setPermissions("/local/domain/3", ["n3"]);
    const { near } = attach(server, 3);
    const value = "v".repeat(2000);
    const writes = Array.from({ length: 50 }, (_, index) => near.client.write(`n${index}`, value));
    await Promise.all(writes);
    expect(await near.client.readText("n49")).toBe(value);
    const heard: string[] = [];
    await near.client.watch("n1", (path) => heard.push(path));
    await dom0.write("/local/domain/3/n1", "1");
    await settle();
    expect(heard).toEqual(["n1", "n1"]);
  });

  test("that announces a message too long is told so, and heard no more", async () => {
    const { server } = setup();
    const { far, page, words } = attach(server, 3);
    page.set([2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 16, 0, 0]);
    words[513] = 16;
    far.signalled();
    expect(words[518]).toBe(ringError.protocol);
    words[513] = 32;
    far.signalled();
    expect(words[512]).toBe(0);
  });

  test("whose indices make no sense is told so; it may begin anew, without watches and transactions", async () => {
    const { server, dom0 } = setup();
    await dom0.make("/n");
    await dom0.setPermissions("/n", ["b0"]);
    const { near, far, words, page } = attach(server, 3);
    const heard: string[] = [];
    await near.client.watch("/n", (path) => heard.push(path));
    await settle();
    words[513] = (words[513] ?? 0) + 5000;
    far.signalled();
    near.signalled();
    expect(words[518]).toBe(ringError.indices);
    await expect(near.client.read("/n")).rejects.toThrow(XenstoreError);

    const ring = new GuestRing(page);
    ring.reconnect();
    far.signalled();
    expect(ring.isConnected).toBe(true);
    const again: GuestLink = new GuestLink(page, () => queueMicrotask(() => far.signalled()));
    const timer = setInterval(() => again.signalled(), 1);
    expect(await again.client.readText("/n")).toBe("");
    clearInterval(timer);
    heard.length = 0;
    await dom0.write("/n", "1");
    await settle();
    expect(heard).toEqual([]);
  });
});

test("a thousand domains come, watch, write and go, and nothing of them is left", async () => {
  const { server, dom0 } = setup();
  await dom0.make("/local/domain");
  const before = server.size;
  const domains = Array.from({ length: 1000 }, (_, index) => index + 1);
  const links = new Map<number, DomainLink>();
  let events = 0;
  await Promise.all(
    domains.map(async (domain) => {
      const home = `/local/domain/${domain}`;
      await dom0.transaction(async (nodes) => {
        await nodes.make(home);
        await nodes.setPermissions(home, [`n0`, `r${domain}`]);
        await nodes.write(`${home}/name`, `guest-${domain}`);
        await nodes.make(`${home}/data`);
        await nodes.setPermissions(`${home}/data`, [`n${domain}`]);
      });
      await dom0.introduce(domain, domain, 1);
      const { near, far } = attach(server, domain);
      links.set(domain, far);
      await near.client.watch("data", () => events++);
      await near.client.transaction(async (nodes) => {
        await nodes.write("data/ready", await nodes.readText("name"));
      });
      expect(await dom0.readText(`${home}/data/ready`)).toBe(`guest-${domain}`);
      await settle();
      await dom0.release(domain);
      await dom0.transaction((nodes) => nodes.remove(home));
    }),
  );
  expect(events).toBeGreaterThanOrEqual(2000);
  expect(server.size).toBe(before);
  expect(server.statistics.conflicts).toBe(0);
});
