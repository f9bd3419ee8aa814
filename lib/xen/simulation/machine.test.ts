import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { Scheduler } from "@tesserae/time/scheduler";
import { runVirtual } from "@tesserae/time/virtual-run";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { describe, expect, test } from "vitest";
import { copyStatus, pageSize } from "../grant.ts";
import { XenError } from "../xen-error.ts";
import { SimulatedMachine } from "./machine.ts";
import type { SimulatedDomain } from "./domain.ts";

function run(body: (machine: SimulatedMachine, a: SimulatedDomain, b: SimulatedDomain) => Promise<void>) {
  const clock = new VirtualClock();
  const scheduler = new Scheduler(clock);
  const random = new SeededRandom(1);
  const machine = new SimulatedMachine({ timers: scheduler, random, latency: () => random.uint32() / 2 ** 32 });
  const promise = (async () => body(machine, await machine.createDomain(), await machine.createDomain()))();
  return runVirtual({ clock, schedulers: [scheduler], turn: () => new Promise(setImmediate) }, promise);
}

const pause = (domain: SimulatedDomain, ms: number): Promise<void> =>
  new Promise((resolve) => {
    domain.timers.timer(resolve).set(domain.timers.now() + ms);
  });

describe("grants", () => {
  test("share a page with one domain, which sees what is written, until it is taken back", () =>
    run(async (machine, a, b) => {
      const pages = a.allocate(2);
      const reference = a.grants.grant(pages, 1, b.id, "read-write");
      expect(reference).toBeGreaterThanOrEqual(8);
      expect(() => machine.control.foreign.map(a.id, [reference], "read-only")).toThrow(XenError);
      const mapped = b.foreign.map(a.id, [reference], "read-write");
      mapped.bytes[5] = 7;
      expect(pages.bytes[pageSize + 5]).toBe(7);
      expect(a.grants.isInUse(reference)).toBe(true);
      expect(a.grants.end(reference)).toBe(false);
      expect(() => pages.release()).toThrow("1 grants of the memory are live");
      mapped.unmap();
      mapped.unmap();
      expect(() => mapped.bytes).toThrow("not mapped");
      expect(a.grants.end(reference)).toBe(true);
      expect(() => b.foreign.map(a.id, [reference], "read-only")).toThrow("has not given");
      pages.release();
      await Promise.resolve();
    }));

  test("that are read-only cannot be mapped or copied to for writing", () =>
    run(async (_, a, b) => {
      const pages = a.allocate(1);
      pages.bytes.fill(3);
      const reference = a.grants.grant(pages, 0, b.id, "read-only");
      expect(() => b.foreign.map(a.id, [reference], "read-write")).toThrow(XenError);
      const own = b.allocate(1);
      const batch = b.foreign.createCopyBatch(4);
      batch.addFrom(a.id, reference, 100, own, 0, 10);
      batch.addTo(own, 0, a.id, reference, 0, 10);
      batch.addFrom(a.id, 4000, 0, own, 0, 10);
      batch.addFrom(77, reference, 0, own, 0, 10);
      batch.run();
      expect([0, 1, 2, 3].map((index) => batch.status(index))).toEqual([
        copyStatus.okay,
        copyStatus.permissionDenied,
        copyStatus.badReference,
        copyStatus.badDomain,
      ]);
      expect(() => batch.addFrom(a.id, reference, 0, own, 0, 1)).toThrow("4 copies already");
      batch.clear();
      expect(() => batch.addFrom(a.id, reference, 0, own, 4000, 200)).toThrow(RangeError);
      expect([...own.bytes.subarray(0, 12)]).toEqual([3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 0, 0]);
      await Promise.resolve();
    }));

  test("run out, and are used again", () =>
    run(async (_, a, b) => {
      const pages = a.allocate(1);
      const { free } = a.grants;
      const references = Array.from({ length: free }, () => a.grants.grant(pages, 0, b.id, "read-only"));
      expect(new Set(references).size).toBe(free);
      expect(() => a.grants.grant(pages, 0, b.id, "read-only")).toThrow("no grant reference");
      expect(a.grants.end(references[3]!)).toBe(true);
      expect(a.grants.grant(pages, 0, b.id, "read-only")).toBe(references[3]);
      await Promise.resolve();
    }));
});

describe("event channels", () => {
  test("signal the other end later, signals that were not taken become one, and binding brings a first", () =>
    run(async (_, a, b) => {
      let near = 0;
      let far = 0;
      const offered = a.events.allocate(b.id, () => near++);
      expect(() => a.events.bind(b.id, offered.port, () => undefined)).toThrow(XenError);
      offered.notify();
      const bound = b.events.bind(a.id, offered.port, () => far++);
      expect(() => b.events.bind(a.id, offered.port, () => undefined)).toThrow("does not offer");
      expect(far).toBe(0);
      await pause(a, 2);
      expect([near, far]).toEqual([0, 1]);
      bound.notify();
      bound.notify();
      await pause(a, 2);
      expect(near).toBe(1);
      bound.notify();
      offered.close();
      offered.close();
      bound.notify();
      await pause(a, 2);
      expect([near, far]).toEqual([1, 1]);
      bound.close();
    }));

  test("may be bound again when the other end has closed", () =>
    run(async (_, a, b) => {
      const offered = a.events.allocate(b.id, () => undefined);
      b.events.bind(a.id, offered.port, () => undefined).close();
      b.events.bind(a.id, offered.port, () => undefined);
      await Promise.resolve();
    }));
});

describe("a domain that is destroyed", () => {
  test("runs no more, and leaves nothing behind", () =>
    run(async (machine, a, b) => {
      const before = machine.audit;
      const c = await machine.createDomain();
      const pages = a.allocate(1);
      const reference = a.grants.grant(pages, 0, c.id, "read-write");
      const mapped = c.foreign.map(a.id, [reference], "read-write");
      const channel = a.events.allocate(c.id, () => undefined);
      c.events.bind(a.id, channel.port, () => expect.unreachable());
      c.timers.timer(() => expect.unreachable()).set(c.timers.now() + 1);
      await c.xenstore.write("data/x", "1");
      machine.destroy(c);
      channel.notify();
      expect(a.grants.end(reference)).toBe(true);
      pages.release();
      channel.close();
      expect(() => mapped.bytes).toThrow("not mapped");
      await pause(b, 5);
      await machine.control.xenstore.remove(`/local/domain/${c.id}`);
      expect(machine.audit).toEqual(before);
      expect(() => a.grants.grant(pages, 0, b.id, "read-only")).toThrow(RangeError);
    }));

  test("is not over while others have its pages mapped, and gives no new ones", () =>
    run(async (machine, a, b) => {
      const c = await machine.createDomain();
      const pages = c.allocate(1);
      const reference = c.grants.grant(pages, 0, b.id, "read-write");
      const mapped = b.foreign.map(c.id, [reference], "read-write");
      machine.destroy(c);
      await pause(a, 5);
      expect(machine.audit.zombies).toBe(1);
      expect(() => b.foreign.map(c.id, [reference], "read-only")).toThrow("no domain");
      mapped.bytes[0] = 1;
      mapped.unmap();
      expect(machine.audit.zombies).toBe(0);
    }));

  test("is heard of through xenstore", () =>
    run(async (machine, a, b) => {
      let count = 0;
      await machine.control.xenstore.watch("@releaseDomain", () => count++);
      await pause(a, 1);
      expect(count).toBe(1);
      machine.destroy(b);
      await pause(a, 5);
      expect(count).toBe(2);
    }));
});

test("a domain reaches xenstore through its ring, with its own rights", () =>
  run(async (_, a, b) => {
    await a.xenstore.write("data/hello", "world");
    expect(await a.xenstore.readText("data/hello")).toBe("world");
    await expect(b.xenstore.readText(`/local/domain/${a.id}/data/hello`)).rejects.toThrow("EACCES");
    const seen: string[] = [];
    await a.xenstore.watch("data", (path) => seen.push(path));
    await a.xenstore.write("data/other", "x".repeat(1900));
    await pause(a, 10);
    expect(seen).toEqual(["data", "data/other"]);
  }));
