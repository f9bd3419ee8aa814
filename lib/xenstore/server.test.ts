import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { describe, expect, test } from "vitest";
import { XenstoreError } from "./client.ts";
import { connectInMemory } from "./in-memory.ts";
import type { Limits } from "./limits.ts";
import type { Domains } from "./server-options.ts";
import { XenstoreServer } from "./server.ts";

function setup(limits: Partial<Limits> = {}, domains?: Domains) {
  const clock = new VirtualClock();
  const timers = new Scheduler(clock);
  const server = new XenstoreServer({ timers, limits, ...(domains === undefined ? {} : { domains }) });
  const dom0 = connectInMemory(server, { kind: "local" }).client;
  const guest = (domain: number) => connectInMemory(server, { kind: "domain", domain }).client;
  const advance = (ms: number): void => {
    clock.advanceTo(clock.now() + ms);
    timers.run();
  };
  return { server, dom0, guest, advance };
}

/** The error's code, or the value. */
async function outcome<T>(promise: Promise<T>): Promise<T | string> {
  try {
    return await promise;
  } catch (error) {
    if (error instanceof XenstoreError) return error.code;
    throw error;
  }
}

/** Lets everything happen that waits for nothing but its turn. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("nodes", () => {
  test("a write makes the node and its parents, with empty values", async () => {
    const { dom0 } = setup();
    await dom0.write("/a/b/c", "x");
    expect(await dom0.readText("/a/b/c")).toBe("x");
    expect(await dom0.readText("/a/b")).toBe("");
    expect(await dom0.list("/a")).toEqual(["b"]);
    expect(await dom0.list("/")).toEqual(["a"]);
  });

  test("a value is any bytes", async () => {
    const { dom0 } = setup();
    await dom0.write("/v", Uint8Array.of(0, 255, 0, 1));
    expect([...(await dom0.read("/v"))]).toEqual([0, 255, 0, 1]);
  });

  test("making a node that is there leaves its value", async () => {
    const { dom0 } = setup();
    await dom0.write("/a", "x");
    await dom0.make("/a");
    expect(await dom0.readText("/a")).toBe("x");
  });

  test("a removal takes all below; of what is not there it needs the parent", async () => {
    const { dom0, server } = setup();
    await dom0.write("/a/b/c", "x");
    await dom0.remove("/a/b");
    expect(await outcome(dom0.readText("/a/b/c"))).toBe("ENOENT");
    expect(await outcome(dom0.remove("/a/b"))).toBeUndefined();
    expect(await outcome(dom0.remove("/a/b/c"))).toBe("ENOENT");
    expect(await outcome(dom0.remove("/"))).toBe("EINVAL");
    expect(server.size).toBe(2);
  });

  test.each(["", "/a/", "//a", "/a//b", "/a b", "/ä", "a/", "@nothing"])("the path %j is refused", async (path) => {
    const { dom0 } = setup();
    expect(await outcome(dom0.write(path, ""))).toBe("EINVAL");
  });

  test("a path of 3072 bytes is the longest", async () => {
    const { dom0 } = setup();
    expect(await outcome(dom0.write(`/${"x".repeat(3071)}`, ""))).toBeUndefined();
    expect(await outcome(dom0.write(`/${"x".repeat(3072)}`, ""))).toBe("EINVAL");
  });

  test("relative paths are a domain's own, and domain 0's for local programs", async () => {
    const { dom0, guest } = setup();
    await dom0.write("name", "zero");
    expect(await dom0.readText("/local/domain/0/name")).toBe("zero");
    await dom0.write("/local/domain/3/name", "three");
    await dom0.setPermissions("/local/domain/3/name", ["n0", "r3"]);
    expect(await guest(3).readText("name")).toBe("three");
  });

  test("the names of children come in parts when they are more than a message holds", async () => {
    const { dom0 } = setup();
    const names = Array.from({ length: 1000 }, (_, index) => `child-${String(index).padStart(5, "0")}`);
    for (const name of names) await dom0.make(`/many/${name}`);
    expect(await dom0.list("/many")).toEqual(names);
  });
});

describe("permissions", () => {
  test("what a domain makes it owns; else a node is as its parent", async () => {
    const { dom0, guest } = setup();
    await dom0.make("/local/domain/3/data");
    await dom0.setPermissions("/local/domain/3/data", ["n3", "r4"]);
    await guest(3).write("data/x", "1");
    expect(await dom0.permissions("/local/domain/3/data/x")).toEqual(["n3", "r4"]);
    await dom0.write("/local/domain/3/data/y", "2");
    expect(await dom0.permissions("/local/domain/3/data/y")).toEqual(["n3", "r4"]);
    expect(await guest(4).readText("/local/domain/3/data/x")).toBe("1");
    expect(await outcome(guest(4).write("/local/domain/3/data/x", "2"))).toBe("EACCES");
    expect(await outcome(guest(5).readText("/local/domain/3/data/x"))).toBe("EACCES");
  });

  test("whoever may not look at the parent does not learn what is there", async () => {
    const { dom0, guest } = setup();
    await dom0.make("/secret");
    expect(await outcome(guest(3).readText("/secret/there"))).toBe("EACCES");
    await dom0.setPermissions("/secret", ["r0"]);
    expect(await outcome(guest(3).readText("/secret/there"))).toBe("ENOENT");
  });

  test("only the owner sets permissions, and cannot give the node away", async () => {
    const { dom0, guest } = setup();
    await dom0.make("/n");
    await dom0.setPermissions("/n", ["b3"]);
    expect(await outcome(guest(4).setPermissions("/n", ["b4"]))).toBe("EACCES");
    expect(await outcome(guest(3).setPermissions("/n", ["b4"]))).toBe("EPERM");
    expect(await outcome(guest(3).setPermissions("/n", ["n3", "b4"]))).toBeUndefined();
    expect(await outcome(dom0.setPermissions("/n", ["x3"]))).toBe("EINVAL");
    expect(await outcome(dom0.setPermissions("/n", []))).toBe("EINVAL");
  });

  test("a domain acts for its target, too", async () => {
    const { dom0, guest } = setup();
    await dom0.introduce(3, 1, 1);
    await dom0.introduce(4, 1, 1);
    await dom0.make("/n");
    await dom0.setPermissions("/n", ["n3"]);
    const helper = guest(4);
    expect(await outcome(helper.readText("/n"))).toBe("EACCES");
    await dom0.setTarget(4, 3);
    expect(await outcome(helper.readText("/n"))).toBe("");
  });
});

describe("bounds of a domain", () => {
  test("nodes, their size, permissions, watches, transactions", async () => {
    const limits = { nodesOfDomain: 3, watchesOfDomain: 1, transactionsOfDomain: 1 };
    const { dom0, guest } = setup(limits);
    await dom0.make("/g");
    await dom0.setPermissions("/g", ["n0", "b3"]);
    const three = guest(3);
    await three.write("/g/a/b/c", "");
    expect(await outcome(three.write("/g/d", ""))).toBe("ENOSPC");
    await three.remove("/g/a/b/c");
    expect(await outcome(three.write("/g/d", ""))).toBeUndefined();
    expect(await outcome(three.write("/g/d", "x".repeat(2046)))).toBe("ENOSPC");
    expect(await outcome(three.setPermissions("/g/d", ["n3", "r1", "r2", "r4", "r5", "r6"]))).toBe("ENOSPC");
    await three.watch("/g", () => undefined);
    expect(await outcome(three.watch("/g", () => undefined))).toBe("ENOSPC");
    const outer = three.transaction(async () => {
      expect(await outcome(three.transaction(() => Promise.resolve()))).toBe("ENOSPC");
    });
    await outer;
  });

  test("a client that does not take replies is not heard; one that does not take events gets fewer", async () => {
    const clock = new VirtualClock();
    const server = new XenstoreServer({ timers: new Scheduler(clock), limits: { replyBytes: 200, events: 2 } });
    const { client: dom0 } = connectInMemory(server, { kind: "local" });
    const carrier = { wake: () => undefined, closed: () => undefined };
    const lazy = server.connect({ kind: "local" }, carrier);
    const { encodeMessage, encodeStrings, messageType } = await import("./wire.ts");
    const watch = encodeMessage(messageType.watch, 1, 0, encodeStrings("/", "t"));
    expect(lazy.receive(watch, 0, watch.length)).toBe(watch.length);
    for (let index = 0; index < 100; index++) await dom0.write(`/n${index}`, "");
    const into = new Uint8Array(10_000);
    // The reply, the first event (/), and behind it nothing: / says all.
    expect(lazy.take(into, 0, into.length)).toBe(16 + 3 + 16 + 4);
    for (let index = 0; index < 100; index++) await dom0.write(`/n${index}`, "");
    // /n0, /n1, and one for the rest; those two are part of it.
    expect(lazy.take(into, 0, into.length)).toBe(16 + 4);
    const read = encodeMessage(messageType.read, 1, 0, encodeStrings("/n1"));
    const ten = new Uint8Array(read.length * 50);
    for (let index = 0; index < 50; index++) ten.set(read, index * read.length);
    const taken = lazy.receive(ten, 0, ten.length);
    expect(taken).toBe(13 * read.length);
    expect(lazy.take(into, 0, into.length)).toBe(13 * 16);
    expect(lazy.receive(ten, taken, ten.length - taken)).toBe(13 * read.length);
  });
});

describe("watches", () => {
  test("begin with an event behind the reply, and hear of the node and all below", async () => {
    const { dom0 } = setup();
    const heard: string[] = [];
    const end = await dom0.watch("/a", (path) => heard.push(path));
    await settle();
    expect(heard).toEqual(["/a"]);
    await dom0.write("/a", "1");
    await dom0.write("/a/b/c", "1");
    await dom0.write("/ab", "1");
    await dom0.setPermissions("/a/b", ["r0"]);
    await dom0.make("/a/b");
    await dom0.remove("/a/b");
    await settle();
    expect(heard).toEqual(["/a", "/a", "/a/b/c", "/a/b", "/a/b"]);
    await end();
    await dom0.write("/a", "2");
    await settle();
    expect(heard).toHaveLength(5);
  });

  test("of a node that goes with one above hear of their own path", async () => {
    const { dom0 } = setup();
    await dom0.write("/a/b/c", "1");
    const heard: string[] = [];
    await dom0.watch("/a/b/c", (path) => heard.push(path));
    await dom0.watch("/a/b/d", (path) => heard.push(path));
    await settle();
    heard.length = 0;
    await dom0.remove("/a");
    await settle();
    expect(heard).toEqual(["/a/b/c"]);
  });

  test("that are relative tell relative paths", async () => {
    const { dom0, guest } = setup();
    await dom0.make("/local/domain/3");
    await dom0.setPermissions("/local/domain/3", ["r0"]);
    const heard: string[] = [];
    await guest(3).watch("x", (path) => heard.push(path));
    await dom0.write("/local/domain/3/x/y", "1");
    await settle();
    expect(heard).toEqual(["x", "x/y"]);
  });

  test("hear only of what may be read, or could be read before", async () => {
    const { dom0, guest } = setup();
    await dom0.make("/n/hidden");
    const heard: string[] = [];
    await guest(3).watch("/n", (path) => heard.push(path));
    await dom0.write("/n/hidden", "1");
    await dom0.setPermissions("/n/hidden", ["r0"]);
    await dom0.write("/n/hidden", "2");
    await settle();
    expect(heard).toEqual(["/n", "/n/hidden", "/n/hidden"]);
    await dom0.setPermissions("/n/hidden", ["n0"]);
    await dom0.write("/n/hidden", "3");
    await settle();
    expect(heard).toEqual(["/n", "/n/hidden", "/n/hidden", "/n/hidden"]);
  });

  test("of domains hear of introductions and releases, when domain 0 lets them", async () => {
    const { dom0, guest } = setup();
    const heard: string[] = [];
    await dom0.watch("@introduceDomain", (path) => heard.push(path));
    await dom0.watch("@releaseDomain", (path) => heard.push(path));
    await guest(9).watch("@releaseDomain", (path) => heard.push(`guest ${path}`));
    await settle();
    heard.length = 0;
    await dom0.introduce(3, 1, 1);
    expect(await dom0.isIntroduced(3)).toBe(true);
    await dom0.setPermissions("@releaseDomain", ["n0", "r9"]);
    expect(await outcome(guest(9).setPermissions("@releaseDomain", ["r9"]))).toBe("EACCES");
    await dom0.release(3);
    await settle();
    expect(heard).toEqual(["@introduceDomain", "@releaseDomain"]);
    expect(await dom0.isIntroduced(3)).toBe(false);
  });
});

describe("transactions", () => {
  test("are seen by others at once, at their end, and not at all when they fail", async () => {
    const { dom0 } = setup();
    const heard: string[] = [];
    await dom0.watch("/t", (path) => heard.push(path));
    await dom0.transaction(async (nodes) => {
      await nodes.write("/t/a", "1");
      await nodes.write("/t/b", "1");
      expect(await nodes.readText("/t/a")).toBe("1");
      expect(await outcome(dom0.readText("/t/a"))).toBe("ENOENT");
      await settle();
      expect(heard).toEqual(["/t"]);
    });
    await settle();
    expect(heard).toEqual(["/t", "/t/a", "/t/b"]);
    const failed = dom0.transaction(async (nodes) => {
      await nodes.write("/t/c", "1");
      throw new RangeError("mine");
    });
    await expect(failed).rejects.toThrow("mine");
    expect(await outcome(dom0.readText("/t/c"))).toBe("ENOENT");
  });

  test("see the tree as it was when they began", async () => {
    const { dom0 } = setup();
    await dom0.write("/a", "1");
    let tries = 0;
    await dom0.transaction(async (nodes) => {
      tries++;
      if (tries === 1) await dom0.write("/a", "2");
      expect(await nodes.readText("/a")).toBe(String(tries));
    });
    expect(tries).toBe(2);
  });

  test.each([
    ["a value", "read", 2],
    ["the children", "list", 2],
    ["the value beside", "beside", 1],
    ["nothing", "nothing", 1],
  ])("that looked at %s (%s) run %i times when others change a node and its children", async (_, what, expected) => {
    const { dom0 } = setup();
    await dom0.write("/a/old", "1");
    await dom0.write("/b", "1");
    let tries = 0;
    await dom0.transaction(async (nodes) => {
      tries++;
      if (what === "read") await nodes.readText("/a");
      if (what === "list") await nodes.list("/a");
      if (what === "beside") await nodes.readText("/b");
      await nodes.write("/a/mine", "1");
      if (tries > 1) return;
      await dom0.write("/a", "2");
      await dom0.write("/a/theirs", "1");
    });
    expect(tries).toBe(expected);
    expect(await dom0.list("/a")).toEqual(["mine", "old", "theirs"]);
  });

  test("that found nothing fail when it came", async () => {
    const { dom0 } = setup();
    let tries = 0;
    await dom0.transaction(async (nodes) => {
      tries++;
      expect(await nodes.readIfThere("/lock")).toBe(tries === 1 ? undefined : "theirs");
      if (tries === 1) await dom0.write("/lock", "theirs");
    });
    expect(tries).toBe(2);
  });

  test("numbers of others, and transactions inside of one, are refused", async () => {
    const { dom0, server } = setup();
    const other = connectInMemory(server, { kind: "local" }).client;
    await dom0.transaction(async (nodes) => {
      await nodes.write("/mine", "");
      expect(await outcome(other.readText("/mine"))).toBe("ENOENT");
    });
    expect(await dom0.readText("/mine")).toBe("");
  });
});

describe("domains", () => {
  test("are introduced and released by domain 0 alone", async () => {
    const { guest } = setup();
    const three = guest(3);
    expect(await outcome(three.introduce(4, 1, 1))).toBe("EACCES");
    expect(await outcome(three.release(3))).toBe("EACCES");
  });

  test("that are released leave nothing that they owned, no watch and no right", async () => {
    const { server, dom0, guest } = setup();
    await dom0.introduce(3, 1, 1);
    await dom0.make("/g");
    await dom0.setPermissions("/g", ["n0", "b3"]);
    await dom0.make("/g/given");
    await dom0.setPermissions("/g/given", ["n0", "r3"]);
    const first = guest(3);
    await first.write("/g/own/below", "1");
    expect(server.owned(3)).toBe(2);
    await dom0.release(3);
    expect(server.owned(3)).toBe(0);
    expect(await dom0.list("/g")).toEqual(["given"]);
    expect(await outcome(first.readText("/g/given"))).toBe("ECONNRESET");
    await dom0.introduce(3, 1, 1);
    expect(await outcome(guest(3).readText("/g/given"))).toBe("EACCES");
    await dom0.setPermissions("/g/given", ["n0", "r3"]);
    expect(await outcome(guest(3).readText("/g/given"))).toBe("");
  });

  test("that cannot be reached are not introduced", async () => {
    const calls: string[] = [];
    const { dom0 } = setup(
      {},
      {
        introduce: (domain, frame, port) => {
          calls.push(`introduce ${domain} ${frame} ${port}`);
          return domain === 3;
        },
        release: (domain) => calls.push(`release ${domain}`),
      },
    );
    await dom0.introduce(3, 17, 2);
    expect(await outcome(dom0.introduce(4, 18, 2))).toBe("EINVAL");
    expect(await dom0.isIntroduced(4)).toBe(false);
    await dom0.release(3);
    expect(calls).toEqual(["introduce 3 17 2", "introduce 4 18 2", "release 3"]);
    expect(await outcome(dom0.introduce(0, 1, 1))).toBe("EINVAL");
    expect(await outcome(dom0.release(9))).toBe("ENOENT");
  });
});
