import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { XenstoreClient, XenstoreError } from "./client.ts";
import type { Line } from "./connection.ts";
import { LiveServer, type Restore } from "./live-server.ts";
import { XenstoreServer } from "./server.ts";
import { encodeMessage, encodeStrings, Message, MessageReader, messageType, textOf } from "./wire.ts";

const restore: Restore = (state, options) => XenstoreServer.restore(state, options);
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A client by a line of its own, whose bytes come in pieces of `piece`. */
function clientOf(server: LiveServer, piece = 4096): { client: XenstoreClient; close: () => void } {
  const buffer = new Uint8Array(piece);
  const waiting: number[] = [];
  let isQueued = false;
  const carry = (): void => {
    isQueued = false;
    while (waiting.length > 0) {
      const bytes = Uint8Array.from(waiting.slice(0, piece));
      const taken = line.receive(bytes, 0, bytes.length);
      waiting.splice(0, taken);
      if (taken < bytes.length) break;
    }
    const length = line.take(buffer, 0, piece);
    if (length === 0) return;
    client.receive(buffer, 0, length);
    soon();
  };
  const soon = (): void => {
    if (isQueued) return;
    isQueued = true;
    queueMicrotask(carry);
  };
  const client = new XenstoreClient({
    send: (bytes) => {
      waiting.push(...bytes);
      soon();
    },
  });
  const line: Line = server.connect({ kind: "local" }, { wake: soon, closed: (reason) => client.end(reason) });
  return { client, close: () => line.close("it left") };
}

function setup(load?: ConstructorParameters<typeof LiveServer>[1]) {
  const timers = new Scheduler(new VirtualClock());
  return new LiveServer({ timers }, load);
}

/** One control command, as `xenstore-control` sends it. */
async function control(server: LiveServer, ...words: readonly (string | Uint8Array)[]): Promise<string> {
  const bytes = words.flatMap((each) => (typeof each === "string" ? [...encodeStrings(each)] : [...each, 0]));
  const request = encodeMessage(messageType.control, 7, 0, Uint8Array.from(bytes));
  const into = new Uint8Array(8192);
  const line = server.connect({ kind: "local" }, { wake: () => undefined, closed: () => undefined });
  line.receive(request, 0, request.length);
  await settle();
  const length = line.take(into, 0, into.length);
  const message = new Message();
  new MessageReader().take(into, 0, length, message);
  line.close("done");
  return textOf(message.payload, 0, message.payload.length - 1);
}

describe("a server whose clients stay", () => {
  test("loses no request, reply, event, watch or transaction of sockets, whenever it is replaced", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(9), { minLength: 1, maxLength: 12 }),
        fc.integer({ min: 5, max: 200 }),
        async (pauses, piece) => {
          const server = setup();
          const { client } = clientOf(server, piece);
          const { client: other } = clientOf(server, piece);
          const heard = new Set<string>();
          await other.watch("/data", (path) => heard.add(path));
          let tries = 0;
          const counting = client.transaction(async (nodes) => {
            tries++;
            for (let index = 0; index < 5; index++) await nodes.write(`/mine/${index}`, String(index));
            expect(await nodes.list("/mine")).toHaveLength(5);
          });
          const writes = pauses.map((_, index) => client.write(`/data/${index}`, "x".repeat(700)));
          for (const count of pauses) {
            for (let turn = 0; turn < count; turn++) await Promise.resolve();
            server.replace(restore);
          }
          await Promise.all([counting, ...writes]);
          await settle();
          expect(tries).toBe(1);
          expect(server.updates).toBe(pauses.length);
          expect([...heard].sort()).toEqual(["/data", ...pauses.map((_, index) => `/data/${index}`)].sort());
          expect(server.server.size).toBe(1 + 6 + 1 + pauses.length);
        },
      ),
      { numRuns: 60 },
    );
  }, 120_000);

  test("hears no more of a client that left", async () => {
    const server = setup();
    const { client, close } = clientOf(server);
    await client.watch("/a", () => undefined);
    close();
    server.replace(restore);
    expect(await control(server, "memreport")).toContain("watches 0,");
  });

  test("goes on with the old one when the new one fails", async () => {
    const server = setup();
    const { client } = clientOf(server);
    await client.write("/a", "1");
    const broken = (): never => {
      throw new RangeError("it is broken");
    };
    expect(() => server.replace(broken)).toThrow("it is broken");
    expect(await client.readText("/a")).toBe("1");
    expect(server.updates).toBe(0);
  });

  test("a transaction that was disturbed before fails after", async () => {
    const server = setup();
    const { client } = clientOf(server);
    const { client: other } = clientOf(server);
    await client.write("/a", "1");
    let tries = 0;
    await client.transaction(async (nodes) => {
      tries++;
      const value = await nodes.readText("/a");
      if (tries === 1) {
        await other.write("/a", "2");
        server.replace(restore);
      }
      await nodes.write("/b", value);
    });
    expect(tries).toBe(2);
    expect(await client.readText("/b")).toBe("2");
  });

  test("keeps quotas that were set, and who hears of domains", async () => {
    const server = setup();
    const { client } = clientOf(server);
    expect(await control(server, "quota", "set", "nodes", "2")).toBe("OK");
    await client.setPermissions("@releaseDomain", ["n0", "r5"]);
    server.replace(restore);
    expect(await control(server, "quota")).toMatch(/^nodes +: +2$/m);
    expect(await client.permissions("@releaseDomain")).toEqual(["n0", "r5"]);
  });
});

describe("xenstore-control live-update", () => {
  test("loads code by name, answers BUSY meanwhile, and OK from the new server", async () => {
    const loaded: string[] = [];
    const server = setup((source, commandLine) => {
      loaded.push(`${source.kind === "file" ? source.path : "?"} ${commandLine}`);
      return Promise.resolve(restore);
    });
    const { client } = clientOf(server);
    await client.write("/a", "1");
    expect(await control(server, "live-update", "-f", "/new")).toBe("OK");
    expect(await control(server, "live-update", "-c", "--more")).toBe("OK");
    expect(await control(server, "live-update", "-s", "-t", "60")).toBe("BUSY");
    expect(server.updates).toBe(0);
    expect(await control(server, "live-update", "-s", "-t", "60")).toBe("OK");
    expect(server.updates).toBe(1);
    expect(loaded).toEqual(["/new --more"]);
    expect(await client.readText("/a")).toBe("1");
  });

  test("takes code in pieces", async () => {
    let code: Uint8Array | undefined;
    const server = setup((source) => {
      if (source.kind === "code") code = source.bytes;
      return Promise.resolve(restore);
    });
    expect(await control(server, "live-update", "-d", "1", Uint8Array.of(1))).toBe("no size was given");
    expect(await control(server, "live-update", "-b", "5")).toBe("OK");
    expect(await control(server, "live-update", "-d", "3", Uint8Array.of(1, 0, 3))).toBe("OK");
    expect(await control(server, "live-update", "-s", "-t", "1")).toBe("the program is not whole");
    expect(await control(server, "live-update", "-d", "3", Uint8Array.of(1, 2, 3))).toBe("more than was announced");
    expect(await control(server, "live-update", "-d", "2", Uint8Array.of(0, 5))).toBe("OK");
    await control(server, "live-update", "-s", "-t", "1");
    expect(await control(server, "live-update", "-s", "-t", "1")).toBe("OK");
    expect([...(code ?? [])]).toEqual([1, 0, 3, 0, 5]);
    expect(server.updates).toBe(1);
  });

  test("says why code cannot be loaded, and can be given up", async () => {
    const server = setup(() => Promise.reject(new RangeError("no such file")));
    expect(await control(server, "live-update", "-s", "-t", "1")).toBe("nothing was given to update to");
    await control(server, "live-update", "-f", "/new");
    await control(server, "live-update", "-s", "-t", "1");
    expect(await control(server, "live-update", "-s", "-t", "1")).toBe("no such file");
    await control(server, "live-update", "-f", "/new");
    expect(await control(server, "live-update", "-a")).toBe("OK");
    expect(await control(server, "live-update", "-s", "-t", "1")).toBe("nothing was given to update to");
    expect(await control(server, "live-update", "-x")).toBe("EINVAL");
  });
});

describe("xenstore-control", () => {
  test("help, check, memreport, print, quota", async () => {
    const printed: string[] = [];
    const timers = new Scheduler(new VirtualClock());
    const server = new LiveServer({ timers, print: (text) => printed.push(text) });
    expect((await control(server, "help")).split("\n")).toContain("quota\t[set <name> <val>|<domid>]");
    expect(await control(server, "check")).toBe("OK");
    expect(await control(server, "memreport")).toMatch(/^nodes 1, domains 0, watches 0, /);
    expect(await control(server, "print", "hello")).toBe("OK");
    expect(printed).toEqual(["hello"]);
    expect(await control(server, "quota", "9")).toBe("EINVAL");
    expect(await control(server, "quota", "set", "nothing", "9")).toBe("EINVAL");
    expect(await control(server, "toString")).toBe("EINVAL");
  });

  test("a quota that is set holds for domains; 0 is none", async () => {
    const server = setup();
    const dom0 = clientOf(server).client;
    await dom0.make("/g");
    await dom0.setPermissions("/g", ["n0", "b3"]);
    const into = new Uint8Array(4096);
    const guest = server.connect({ kind: "domain", domain: 3 }, { wake: () => undefined, closed: () => undefined });
    const write = (path: string): string => {
      const request = encodeMessage(messageType.write, 1, 0, encodeStrings(path));
      guest.receive(request, 0, request.length);
      const length = guest.take(into, 0, into.length);
      return textOf(into, 16, length - 1);
    };
    await control(server, "quota", "set", "nodes", "1");
    expect(write("/g/a")).toBe("OK");
    expect(write("/g/b")).toBe("ENOSPC");
    expect(await control(server, "quota", "3")).toMatch(/^nodes +: +1$/m);
    await control(server, "quota", "set", "nodes", "0");
    expect(write("/g/b")).toBe("OK");
    await expect(clientOf(server).client.setPermissions("/none", ["n0"])).rejects.toThrow(XenstoreError);
  });
});
