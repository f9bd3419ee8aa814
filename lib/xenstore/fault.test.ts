import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { XenstoreClient, XenstoreError } from "./client.ts";
import type { Line } from "./connection.ts";
import { DomainLink, GuestLink } from "./domain-link.ts";
import { createFileKeeper, readJournal } from "./journal-file.ts";
import { MemoryKeeper, type Keeper } from "./keeper.ts";
import { LiveServer } from "./live-server.ts";
import { pageSize } from "./ring.ts";
import { loadState } from "./state.ts";
import { textOf } from "./wire.ts";

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Keeps, and fails where it is told to: a server whose journal throws has changed everything and told nobody. */
class FaultyKeeper extends MemoryKeeper {
  /** Records until the next fault, one number for each fault. */
  readonly plan: number[] = [];
  readonly #failed = new Set<string>();
  isPoisoned: (record: string) => boolean = () => false;

  override append(record: Uint8Array): void {
    if (this.isPoisoned(textOf(record))) throw new Error("this record cannot be kept");
    const [next] = this.plan;
    // Not twice of the same: that would be refused.
    if (next === 0 && !this.#failed.has(textOf(record))) {
      this.#failed.add(textOf(record));
      this.plan.shift();
      throw new Error("a fault");
    }
    if (next !== undefined) this.plan[0] = Math.max(0, next - 1);
    super.append(record);
  }
}

function setup(keeper: Keeper = new FaultyKeeper()) {
  const clock = new VirtualClock();
  return new LiveServer({ timers: new Scheduler(clock), keeper });
}

function clientOf(server: LiveServer): XenstoreClient {
  const buffer = new Uint8Array(512);
  const waiting: Uint8Array[] = [];
  let isQueued = false;
  const carry = (): void => {
    isQueued = false;
    for (let first = waiting[0]; first !== undefined; first = waiting[0]) {
      const taken = line.receive(first, 0, first.length);
      if (taken < first.length) {
        waiting[0] = first.subarray(taken);
        break;
      }
      waiting.shift();
    }
    for (let length = line.take(buffer, 0, 512); length > 0; length = line.take(buffer, 0, 512))
      client.receive(buffer, 0, length);
  };
  const soon = (): void => {
    if (isQueued) return;
    isQueued = true;
    queueMicrotask(carry);
  };
  const client = new XenstoreClient({
    send: (bytes) => {
      waiting.push(bytes);
      soon();
    },
  });
  const line: Line = server.connect({ kind: "local" }, { wake: soon, closed: (reason) => client.end(reason) });
  return client;
}

/** All nodes, as text. */
function treeOf(server: LiveServer): string[] {
  const { nodes } = loadState(server.server.save());
  return [...nodes].map(({ path, value, permissions }) => `${path}=${textOf(value)} ${permissions.join(",")}`).sort();
}

/** Things that clients do, and in the end nothing of them depends on who was first. */
async function work(server: LiveServer, heard: Set<string>): Promise<number> {
  const one = clientOf(server);
  const two = clientOf(server);
  const page = new Uint8Array(pageSize);
  let tries = 0;
  await one.watch("/data", (path) => heard.add(path));
  await one.write("/local/domain/3/data", "");
  await one.setPermissions("/local/domain/3/data", ["n3"]);
  await one.introduce(3, 1, 1);
  const near: GuestLink = new GuestLink(page, () => queueMicrotask(() => far.signalled()));
  const far: DomainLink = new DomainLink(server, 3, page, () => queueMicrotask(() => near.signalled()));
  const guest = near.client;
  await Promise.all([
    one.transaction(async (nodes) => {
      tries++;
      for (const name of ["a", "b", "c"]) await nodes.write(`/data/${name}`, name);
      expect(await nodes.list("/data")).toContain("b");
      await nodes.remove("/data/c");
    }),
    (async () => {
      for (let index = 0; index < 4; index++) {
        await two.transaction(async (nodes) => {
          await nodes.write("/count", String(Number((await nodes.readIfThere("/count")) ?? "0") + 1));
        });
      }
    })(),
    (async () => {
      await guest.watch("data", (path) => heard.add(`guest:${path}`));
      await guest.write("data/word", "x".repeat(900));
      await guest.transaction((nodes) => nodes.write("data/other", "1"));
      await guest.remove("data/word");
    })(),
  ]);
  await two.introduce(4, 1, 1);
  await two.write("/local/domain/4/x", "");
  await two.setPermissions("/local/domain/4/x", ["n4"]);
  await two.release(4);
  await settle();
  await one.write("/data/late", "1");
  await guest.write("data/late", "2");
  await settle();
  return tries;
}

describe("a server that dies of a fault", () => {
  test("at any request is followed by one with the same nodes, watches and transactions, and no client notices", async () => {
    const undisturbed = setup();
    const all = new Set<string>();
    await work(undisturbed, all);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(25), { minLength: 1, maxLength: 6 }), async (plan) => {
        const keeper = new FaultyKeeper();
        const server = setup(keeper);
        keeper.plan.push(...plan.map((each) => each + 1));
        const heard = new Set<string>();
        await work(server, heard);
        expect(treeOf(server)).toEqual(treeOf(undisturbed));
        expect([...heard].sort()).toEqual([...all].sort());
        expect(server.server.check()).toEqual([]);
        expect(server.server.census).toEqual(undisturbed.server.census);
        expect(server.faults).toBeGreaterThan(0);
      }),
      { numRuns: 30 },
    );
  }, 120_000);

  test("twice of the same request: it is refused, and all others are served", async () => {
    const keeper = new FaultyKeeper();
    const server = setup(keeper);
    keeper.isPoisoned = (record) => record.includes("/poison");
    const one = clientOf(server);
    const two = clientOf(server);
    const refused = one.write("/poison", "").catch((error: unknown) => error);
    await two.write("/a", "1");
    const error = await refused;
    expect(error instanceof XenstoreError && error.code).toBe("EIO");
    expect(await one.list("/")).toEqual(["a"]);
    expect(server.faults).toBe(2);
  });

  test("keeps a state now and then, and no more records than that is worth", async () => {
    const keeper = new MemoryKeeper();
    const server = setup(keeper);
    const client = clientOf(server);
    for (let index = 0; index < 1200; index++) await client.write("/same", "x".repeat(2000));
    expect(keeper.length).toBeLessThan(1_100_000);
    const { state, records } = keeper.kept();
    const again = setup(Object.assign(new MemoryKeeper(), { kept: () => ({ state, records }) }));
    expect(treeOf(again)).toEqual(treeOf(server));
  });
});

/** A file in memory, which counts what was in it at each end of a request. */
class FileInMemory {
  bytes = new Uint8Array(0);

  read(): Uint8Array {
    return this.bytes;
  }

  append(bytes: Uint8Array): void {
    this.bytes = Uint8Array.from([...this.bytes, ...bytes]);
  }

  replace(bytes: Uint8Array): void {
    this.bytes = Uint8Array.from(bytes);
  }
}

describe("a journal in a file", () => {
  test("cut anywhere gives the tree as it was between two requests: all that were answered before the cut", async () => {
    const file = new FileInMemory();
    const server = setup(createFileKeeper({ file }));
    const client = clientOf(server);
    const states: { readonly length: number; readonly tree: string[] }[] = [];
    const note = (): void => {
      states.push({ length: file.bytes.length, tree: treeOf(server) });
    };
    note();
    const changes: (() => Promise<unknown>)[] = [
      () => client.write("/a/b", "1"),
      () =>
        client.transaction(async (nodes) => {
          await nodes.write("/a/c", "2");
          await nodes.remove("/a/b");
          await nodes.write("/a/b/d", "3");
        }),
      () => client.setPermissions("/a", ["n0", "r5"]),
      () => client.setPermissions("@releaseDomain", ["n0", "r7"]),
      () => client.introduce(5, 1, 1),
      () => client.write("/local/domain/5/x", ""),
      () => client.setPermissions("/local/domain/5/x", ["n5"]),
      () => client.release(5),
      () => client.remove("/a/b"),
    ];
    for (const change of changes) {
      await change();
      note();
    }
    const { bytes } = file;
    for (let length = states[0]?.length ?? 0; length <= bytes.length; length++) {
      const torn = new FileInMemory();
      torn.replace(bytes.subarray(0, length));
      // What is behind a cut may be anything, too.
      if (length % 2 === 0) torn.append(Uint8Array.of(0x45, 0x52, 0x53, 0x54, 9, 0, 0, 0, 1, 2, 3, 4, 5));
      const again = setup(createFileKeeper({ file: torn }));
      const tree = treeOf(again);
      expect(states.map((each) => each.tree)).toContainEqual(tree);
      const answered = states.findLastIndex((each) => each.length <= length);
      expect(states.findLastIndex((each) => each.tree.join() === tree.join())).toBeGreaterThanOrEqual(answered);
      expect(again.server.check()).toEqual([]);
      expect(readJournal(torn.bytes).end).toBe(torn.bytes.length);
    }
  });

  test("has no clients of the program that died, and goes on", async () => {
    const file = new FileInMemory();
    const client = clientOf(setup(createFileKeeper({ file })));
    await client.watch("/", () => undefined);
    await client.write("/a", "1");
    const server = setup(createFileKeeper({ file }));
    expect(server.server.census).toMatchObject({ nodes: 2, watches: 0 });
    expect(await clientOf(server).readText("/a")).toBe("1");
  });
});
