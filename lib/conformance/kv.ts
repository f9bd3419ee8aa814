import { type Kv, KvError, type WritableKv } from "@tesserae/device/kv";
import { ensure, ensureEqual, ensureRejects } from "./assert.ts";
import { pattern } from "./pause.ts";
import { defineCase, type Suite } from "./suite.ts";

/** Makes a store that holds exactly these files. */
export interface KvSubject {
  readonly make: (files: Readonly<Record<string, Uint8Array>>) => Promise<Kv>;
}

/** Makes an empty store that can be changed. */
export interface WritableKvSubject {
  readonly make: () => Promise<WritableKv>;
}

const badKeys = ["", "/a", "a/", "a//b", ".", "..", "a/../b", "../a", "./a", "a\0b", "x".repeat(256), "ä".repeat(128)];

const files = {
  "index.html": pattern(5000, 1),
  "img/logo.svg": pattern(300, 2),
  "img/icons/a.png": pattern(1, 3),
  "imgs/other.png": pattern(2, 4),
  empty: new Uint8Array(0),
  "with space.txt": pattern(10, 5),
  "näme/ü.txt": pattern(11, 6),
  "\u{1f600}": pattern(12, 7),
  "\uff5e": pattern(13, 8),
};
const inByteOrder = [
  ...["empty", "img/icons/a.png", "img/logo.svg", "imgs/other.png", "index.html", "näme/ü.txt", "with space.txt"],
  ...["\uff5e", "\u{1f600}"],
].sort((one, other) => compareUtf8(one, other));

function compareUtf8(one: string, other: string): number {
  const encoder = new TextEncoder();
  const [a, b] = [encoder.encode(one), encoder.encode(other)];
  for (let index = 0; index < Math.min(a.length, b.length); index++) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

async function ensureKvError(promise: Promise<unknown>, kind: KvError["kind"], what: string): Promise<void> {
  const error = await ensureRejects(promise, KvError, what);
  ensureEqual(error.kind, kind, `${what}: kind`);
}

/** The contract of `Kv`. */
export const kvSuite: Suite<KvSubject> = [
  defineCase("get gives the bytes that are there", async ({ make }) => {
    const kv = await make(files);
    for (const [key, bytes] of Object.entries(files)) ensureEqual(await kv.get(key), bytes, key);
    await kv.close();
  }),

  defineCase("get gives a part, and nothing at or past the end", async ({ make }) => {
    const kv = await make(files);
    const whole = files["index.html"];
    const parts: [number, number?][] = [[0, 1], [1, 1], [100, 4900], [100, 4901], [4999, 5], [4999], [17, 0]];
    parts.push([5000, 1], [5001], [1e9, 1e9], [3]);
    for (const [offset, length] of parts) {
      const expected = whole.slice(offset, length === undefined ? undefined : offset + length);
      ensureEqual(await kv.get("index.html", offset, length), expected, `${String(offset)}, ${String(length)}`);
    }
    await kv.close();
  }),

  defineCase("what does not exist is undefined, for get and stat", async ({ make }) => {
    const kv = await make(files);
    for (const key of ["nothing", "img", "img/nothing", "index.html/x", "INDEX.html", "constructor"]) {
      ensureEqual(await kv.get(key), undefined, `get("${key}")`);
      ensureEqual(await kv.stat(key), undefined, `stat("${key}")`);
    }
    await kv.close();
  }),

  defineCase("stat tells the size and a digest that differs when the bytes differ", async ({ make }) => {
    const kv = await make({ ...files, copy: files["index.html"], other: pattern(5000, 99) });
    for (const [key, bytes] of Object.entries(files)) ensureEqual((await kv.stat(key))?.size, bytes.length, key);
    const digest = async (key: string): Promise<string> => (await kv.stat(key))?.digest ?? "";
    ensure((await digest("index.html")) !== "", "the digest is empty");
    ensure(/^[\x21\x23-\x7e]+$/.test(await digest("index.html")), "the digest is not fit for an entity tag");
    ensure((await digest("index.html")) !== (await digest("other")), "different bytes, one digest");
    ensureEqual(await digest("index.html"), await digest("index.html"), "asked twice");
    const modified = (await kv.stat("index.html"))?.modified;
    ensure(modified === undefined || (Number.isFinite(modified) && modified >= 0), "modified");
    await kv.close();
  }),

  defineCase("list gives all keys in byte order", async ({ make }) => {
    const kv = await make(files);
    ensureEqual([...(await kv.list())], inByteOrder, "list()");
    ensureEqual([...(await kv.list(""))], inByteOrder, 'list("")');
    await kv.close();
  }),

  defineCase("a prefix of list is a path, not a string", async ({ make }) => {
    const kv = await make(files);
    ensureEqual([...(await kv.list("img"))], ["img/icons/a.png", "img/logo.svg"], 'list("img")');
    ensureEqual([...(await kv.list("img/"))], ["img/icons/a.png", "img/logo.svg"], 'list("img/")');
    ensureEqual([...(await kv.list("img/icons"))], ["img/icons/a.png"], 'list("img/icons")');
    ensureEqual([...(await kv.list("index.html"))], ["index.html"], 'list("index.html")');
    ensureEqual([...(await kv.list("nothing"))], [], 'list("nothing")');
    await kv.close();
  }),

  defineCase("a bad key rejects with bad-key", async ({ make }) => {
    const kv = await make(files);
    for (const key of badKeys) {
      await ensureKvError(kv.get(key), "bad-key", `get(${JSON.stringify(key)})`);
      await ensureKvError(kv.stat(key), "bad-key", `stat(${JSON.stringify(key)})`);
    }
    await kv.close();
  }),

  defineCase("a bad offset or length rejects with RangeError", async ({ make }) => {
    const kv = await make(files);
    for (const bad of [-1, 0.5, Number.NaN, Infinity]) {
      await ensureRejects(kv.get("index.html", bad), RangeError, `offset ${String(bad)}`);
      await ensureRejects(kv.get("index.html", 0, bad), RangeError, `length ${String(bad)}`);
    }
    await kv.close();
  }),

  defineCase("an empty store lists nothing", async ({ make }) => {
    const kv = await make({});
    ensureEqual([...(await kv.list())], [], "list()");
    await kv.close();
  }),

  defineCase("after close every call rejects with closed, and closing again is harmless", async ({ make }) => {
    const kv = await make(files);
    await kv.close();
    await kv.close();
    await ensureKvError(kv.get("index.html"), "closed", "get");
    await ensureKvError(kv.stat("index.html"), "closed", "stat");
    await ensureKvError(kv.list(), "closed", "list");
  }),
];

/** The contract of what `WritableKv` adds. */
export const writableKvSuite: Suite<WritableKvSubject> = [
  defineCase("set creates and replaces", async ({ make }) => {
    const kv = await make();
    await kv.set("a/b", pattern(100, 1));
    ensureEqual(await kv.get("a/b"), pattern(100, 1), "created");
    const before = await kv.stat("a/b");
    await kv.set("a/b", pattern(50, 2));
    ensureEqual(await kv.get("a/b"), pattern(50, 2), "replaced");
    const after = await kv.stat("a/b");
    ensureEqual(after?.size, 50, "size");
    ensure(before?.digest !== after?.digest, "the digest did not change");
    await kv.close();
  }),

  defineCase("the bytes are the caller's again once set resolved", async ({ make }) => {
    const kv = await make();
    const bytes = pattern(100, 1);
    await kv.set("a", bytes);
    bytes.fill(0);
    ensureEqual(await kv.get("a"), pattern(100, 1), "stored");
    await kv.close();
  }),

  defineCase("what get gave stays as it was when the key changes", async ({ make }) => {
    const kv = await make();
    await kv.set("a", pattern(100, 1));
    const got = await kv.get("a");
    await kv.set("a", pattern(100, 2));
    await kv.delete("a");
    ensureEqual(got, pattern(100, 1), "the bytes read before");
    await kv.close();
  }),

  defineCase("delete tells whether the key existed", async ({ make }) => {
    const kv = await make();
    await kv.set("a", pattern(1, 1));
    ensureEqual(await kv.delete("a"), true, "the first time");
    ensureEqual(await kv.delete("a"), false, "the second time");
    ensureEqual(await kv.get("a"), undefined, "get");
    ensureEqual([...(await kv.list())], [], "list");
    await kv.close();
  }),

  defineCase("readers see all of a change or nothing", async ({ make }) => {
    const kv = await make();
    await kv.set("a", new Uint8Array(10_000).fill(0));
    const writes: Promise<void>[] = [];
    const reads: Promise<Uint8Array | undefined>[] = [];
    for (let round = 1; round <= 20; round++) {
      writes.push(kv.set("a", new Uint8Array(10_000 + round).fill(round)));
      reads.push(kv.get("a"));
    }
    for (const bytes of await Promise.all(reads)) {
      ensure(bytes !== undefined, "the key vanished");
      ensure(bytes.length === 10_000 + (bytes[0] ?? 0), "the length is of another version");
      ensure(
        bytes.every((value) => value === bytes[0]),
        "two versions are mixed",
      );
    }
    await Promise.all(writes);
    await kv.close();
  }),

  defineCase("set and delete reject bad keys, and everything after close", async ({ make }) => {
    const kv = await make();
    for (const key of badKeys) {
      await ensureKvError(kv.set(key, new Uint8Array(1)), "bad-key", `set(${JSON.stringify(key)})`);
      await ensureKvError(kv.delete(key), "bad-key", `delete(${JSON.stringify(key)})`);
    }
    await kv.close();
    await ensureKvError(kv.set("a", new Uint8Array(1)), "closed", "set");
    await ensureKvError(kv.delete("a"), "closed", "delete");
  }),
];
