import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { expect, test } from "vitest";
import { DomainLink, GuestLink } from "./domain-link.ts";
import { connectInMemory } from "./in-memory.ts";
import { pageSize } from "./ring.ts";
import { XenstoreServer } from "./server.ts";

// A domain that is saved and restored: its page is another, empty, and the server knows nothing of it.

test("after a restore requests are answered, watches are set again and fire once, transactions begin anew", async () => {
  const server = new XenstoreServer({ timers: new Scheduler(new VirtualClock()) });
  const local = connectInMemory(server, { kind: "local" }).client;
  await local.write("/local/domain/1/a", "1");
  for (const path of ["/local/domain/1", "/local/domain/1/a"]) await local.setPermissions(path, ["n1"]);
  const page = new Uint8Array(pageSize);
  let isServed = true;
  const near: GuestLink = new GuestLink(page, () => {
    if (isServed) queueMicrotask(() => far.signalled());
  });
  const connect = (): DomainLink => new DomainLink(server, 1, page, () => queueMicrotask(() => near.signalled()));
  let far = connect();
  const guest = near.client;
  const seen: string[] = [];
  await guest.watch("a", (path) => seen.push(path));
  await expect.poll(() => seen).toEqual(["a"]);

  let tries = 0;
  let inside: () => void = () => undefined;
  const isInside = new Promise<void>((resolve) => (inside = resolve));
  const changing = guest.transaction(async (nodes) => {
    const before = Number(await nodes.readText("a"));
    if (++tries === 1) {
      isServed = false;
      inside();
    }
    await nodes.write("a", String(before + 1));
  });
  await isInside;
  const reading = guest.readText("a");
  expect(guest.waiting).toBeGreaterThan(0);

  far.close();
  page.fill(0);
  far = connect();
  isServed = true;
  near.resume();
  expect(await reading).toBe("1");
  await changing;
  expect(tries).toBe(2);
  expect(await guest.readText("a")).toBe("2");
  // Once for the watch that is set again, once for the write.
  await expect.poll(() => seen).toEqual(["a", "a", "a"]);
});
