import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DomainLink, GuestLink } from "./domain-link.ts";
import { connectInMemory } from "./in-memory.ts";
import { pageSize } from "./ring.ts";
import type { XenstoreServerOptions } from "./server-options.ts";
import { XenstoreServer } from "./server.ts";
import { loadState, saveState } from "./state.ts";
import { StateError } from "./state-bytes.ts";

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A machine whose domains keep their rings when the server is another one. */
class Machine {
  server: XenstoreServer;
  readonly #pages = new Map<number, Uint8Array>();
  readonly #guests = new Map<number, GuestLink>();
  readonly #links = new Map<number, DomainLink>();
  readonly #options: XenstoreServerOptions = {
    timers: new Scheduler(new VirtualClock()),
    domains: {
      introduce: (domain, _frame, _port, server) => {
        const page = this.#pages.get(domain);
        if (page === undefined) return false;
        const signal = (): void => queueMicrotask(() => this.#guests.get(domain)?.signalled());
        this.#links.set(domain, new DomainLink(server, domain, page, signal));
        return true;
      },
      release: (domain) => void this.#links.delete(domain),
    },
  };

  constructor() {
    this.server = new XenstoreServer(this.#options);
  }

  get dom0() {
    return connectInMemory(this.server, { kind: "local" }).client;
  }

  guest(domain: number) {
    const page = new Uint8Array(pageSize);
    this.#pages.set(domain, page);
    const link = new GuestLink(page, () => queueMicrotask(() => this.#links.get(domain)?.signalled()));
    this.#guests.set(domain, link);
    return link.client;
  }

  /** The server ends at this very moment; another goes on. */
  update(): void {
    const bytes = this.server.save();
    this.#links.clear();
    this.server = XenstoreServer.restore(bytes, this.#options);
    for (const link of this.#links.values()) link.signalled();
  }
}

describe("a server that goes on in another's place", () => {
  test("has all nodes, owners, permissions and watches; a transaction under way goes on", async () => {
    const machine = new Machine();
    const three = machine.guest(3);
    const before = machine.dom0;
    await before.write("/local/domain/3/name", "three");
    await before.setPermissions("/local/domain/3", ["n3", "r4"]);
    await before.setPermissions("/local/domain/3/name", ["n3"]);
    await before.write("/other", Uint8Array.of(0, 1, 255));
    await before.introduce(3, 17, 5);
    const heard: string[] = [];
    await three.watch("name", (path) => heard.push(path));
    await settle();
    let tries = 0;
    await three.transaction(async (nodes) => {
      tries++;
      const name = await nodes.readText("name");
      if (tries === 1) machine.update();
      await nodes.write("copy", name);
    });
    expect(tries).toBe(1);
    expect(machine.server.size).toBe(7);
    expect(machine.server.owned(3)).toBe(3);
    const after = machine.dom0;
    expect(await after.permissions("/local/domain/3")).toEqual(["n3", "r4"]);
    expect([...(await after.read("/other"))]).toEqual([0, 1, 255]);
    expect(await after.readText("/local/domain/3/copy")).toBe("three");
    expect(await after.isIntroduced(3)).toBe(true);
    await after.write("/local/domain/3/name", "drei");
    await settle();
    expect(heard).toEqual(["name", "name"]);
  });

  test("loses no request, no reply and no event, whenever it happens", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(6), { minLength: 1, maxLength: 12 }), async (pauses) => {
        const machine = new Machine();
        const guest = machine.guest(3);
        await machine.dom0.make("/local/domain/3");
        await machine.dom0.setPermissions("/local/domain/3", ["n3"]);
        await machine.dom0.introduce(3, 17, 5);
        const heard = new Set<string>();
        await guest.watch("data", (path) => heard.add(path));
        const writes = pauses.map((_, index) => guest.write(`data/${index}`, "x".repeat(700)));
        for (const count of pauses) {
          for (let turn = 0; turn < count; turn++) await Promise.resolve();
          machine.update();
        }
        await Promise.all(writes);
        await settle();
        expect([...heard].sort()).toEqual(["data", ...pauses.map((_, index) => `data/${index}`)].sort());
        expect(await machine.dom0.list("/local/domain/3/data")).toHaveLength(pauses.length);
      }),
      { numRuns: 50 },
    );
  });

  test("leaves the rights of domains that are gone behind", async () => {
    const machine = new Machine();
    machine.guest(3);
    await machine.dom0.write("/n", "");
    await machine.dom0.introduce(3, 17, 5);
    await machine.dom0.setPermissions("/n", ["n0", "r3", "r4"]);
    await machine.dom0.release(3);
    machine.update();
    expect(await machine.dom0.permissions("/n")).toEqual(["n0", "r4"]);
  });

  test("does not know the clients of the one before that are no domains", async () => {
    const machine = new Machine();
    const local = machine.dom0;
    await local.write("/n", "");
    machine.update();
    await local.write("/n", "late");
    expect(await machine.dom0.readText("/n")).toBe("");
  });
});

describe("a saved state", () => {
  const saved = saveState({
    connections: [
      {
        ...{ socket: -1, domain: 3, target: 4, port: 7, input: Uint8Array.of(1, 2, 3), output: Uint8Array.of(4) },
        watches: [{ path: "data", token: "t" }],
        transactions: [
          {
            id: 9,
            accesses: [
              { path: "/a", kind: "seen", value: Uint8Array.of(), permissions: [] },
              { path: "/b", kind: "removed", value: Uint8Array.of(), permissions: [] },
              { path: "/c", kind: "written", value: Uint8Array.of(7), permissions: ["n3"] },
            ],
          },
        ],
      },
      {
        ...{ socket: 5, domain: 0, target: -1, port: 0, input: Uint8Array.of(), output: Uint8Array.of(4, 5) },
        watches: [{ path: "/", token: "u" }],
        transactions: [],
      },
    ],
    quotas: { general: new Map([["nodes", 17]]), own: new Map([[3, new Map([["watches", 2]])]]) },
    nodes: [{ path: "/", value: Uint8Array.of(5, 0), permissions: ["n0", "b7"] }],
  });

  test("is what it was, read again", () => {
    const { connections, nodes, quotas } = loadState(saved);
    expect(saveState({ connections, nodes, quotas })).toEqual(saved);
    expect(connections[0]).toMatchObject({ socket: -1, domain: 3, target: 4, port: 7, transactions: [{ id: 9 }] });
    expect(connections[1]).toMatchObject({ socket: 5, domain: 0, target: -1 });
    expect([...nodes]).toEqual([{ path: "/", value: Uint8Array.of(5, 0), permissions: ["n0", "b7"] }]);
  });

  test("that is damaged is refused with what is wrong, and never throws otherwise", () => {
    expect(() => loadState(saved.subarray(0, 40))).toThrow("the state ends too early, at byte");
    expect(() => loadState(Uint8Array.from([...saved].fill(0, 0, 1)))).toThrow("no state of a xenstore");
    const options = { timers: new Scheduler(new VirtualClock()) };
    fc.assert(
      fc.property(fc.nat(saved.length - 1), fc.nat(255), fc.nat(saved.length), (at, byte, length) => {
        const bytes = saved.slice(0, Math.max(length, at + 1));
        bytes[at] = byte;
        try {
          XenstoreServer.restore(bytes, options);
        } catch (error) {
          expect(error).toBeInstanceOf(StateError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
