import { createHash } from "node:crypto";
import { kvSuite, writableKvSuite } from "@tesserae/conformance/kv";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeBase64 } from "@tesserae/wire/base64";
import { type CompiledFile, createCompiledKv } from "./compiled.ts";
import { compareBytes } from "./key.ts";
import { createMemoryKv } from "./memory.ts";
import { digestOf, sha256 } from "./sha256.ts";

type Files = Readonly<Record<string, Uint8Array>>;

function compiled(files: Files, asText: boolean) {
  const entries = Object.entries(files).map(([key, bytes]): [string, CompiledFile] => [
    key,
    { bytes: asText ? Buffer.from(bytes).toString("base64") : bytes, digest: digestOf(bytes) },
  ]);
  return createCompiledKv({ files: Object.fromEntries(entries) });
}

async function filled(files: Files) {
  const kv = createMemoryKv();
  for (const [key, bytes] of Object.entries(files)) await kv.set(key, bytes);
  return kv;
}

describe("conformance of memory", () => {
  for (const each of kvSuite) test(each.name, () => each.run({ make: filled }));
  for (const each of writableKvSuite) test(each.name, () => each.run({ make: async () => createMemoryKv() }));
});

describe("conformance of compiled", () => {
  for (const each of kvSuite) {
    test(`bytes: ${each.name}`, () => each.run({ make: async (files) => compiled(files, false) }));
    test(`base64: ${each.name}`, () => each.run({ make: async (files) => compiled(files, true) }));
  }
});

describe("createMemoryKv", () => {
  test("is full above its capacity, and replacing frees what was there", async () => {
    const kv = createMemoryKv({ capacity: 230 });
    await kv.set("a", new Uint8Array(60));
    await expect(kv.set("b", new Uint8Array(60))).rejects.toMatchObject({ kind: "full", key: "b" });
    expect(await kv.list()).toEqual(["a"]);
    await kv.set("a", new Uint8Array(99));
    await kv.set("a", new Uint8Array(100));
    await expect(kv.set("a", new Uint8Array(101))).rejects.toMatchObject({ kind: "full" });
    expect((await kv.get("a"))?.length).toBe(100);
    await expect(kv.set("empty", new Uint8Array(0))).rejects.toMatchObject({ kind: "full" });
    await kv.delete("a");
    await kv.set("b", new Uint8Array(99));
    expect(() => createMemoryKv({ capacity: -1 })).toThrow(RangeError);
  });

  test("knows when an entry was changed, given a clock", async () => {
    const clock = new VirtualClock({ origin: 1000 });
    const kv = createMemoryKv({ clock });
    await kv.set("a", new Uint8Array(1));
    clock.advanceTo(500);
    await kv.set("b", new Uint8Array(1));
    expect([(await kv.stat("a"))?.modified, (await kv.stat("b"))?.modified]).toEqual([1000, 1500]);
  });
});

describe("createCompiledKv", () => {
  test("passes on the digest and the time of the module", async () => {
    const kv = createCompiledKv({ files: { a: { bytes: "aGVsbG8=", digest: "d", modified: 5 } } });
    expect(await kv.stat("a")).toEqual({ size: 5, digest: "d", modified: 5 });
    expect(new TextDecoder().decode(await kv.get("a"))).toBe("hello");
  });

  test("refuses a module that was not generated", () => {
    for (const bytes of ["a", "a===", "a!bc", "äbcd"]) {
      expect(() => createCompiledKv({ files: { a: { bytes, digest: "" } } })).toThrow('files["a"].bytes is not base64');
    }
    expect(() => createCompiledKv({ files: { "../a": { bytes: "", digest: "" } } })).toThrow("..");
  });

  test("the names of Object.prototype are no files", async () => {
    const kv = compiled({ a: new Uint8Array(1) }, false);
    for (const key of ["constructor", "toString", "__proto__"]) expect(await kv.get(key)).toBeUndefined();
  });
});

test("property: sha256 and base64 agree with Node's", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      expect(Buffer.from(sha256(bytes))).toEqual(createHash("sha256").update(bytes).digest());
      expect(decodeBase64(Buffer.from(bytes).toString("base64"))).toEqual(bytes);
    }),
  );
  const large = new Uint8Array(1_000_001).fill(97);
  expect(digestOf(large)).toBe(createHash("sha256").update(large).digest("hex").slice(0, 32));
});

test("property: keys sort as their UTF-8 bytes do", () => {
  const key = fc.string({ unit: "grapheme", maxLength: 5 });
  fc.assert(
    fc.property(key, key, (one, other) => {
      const expected = Buffer.compare(Buffer.from(one), Buffer.from(other));
      expect(Math.sign(compareBytes(one, other))).toBe(expected);
    }),
  );
  expect(compareBytes("\u{10000}", "\uffff")).toBeGreaterThan(0);
});

test("decodeBase64 refuses what is not base64", () => {
  for (const text of ["abc", "ab=c", "a\nbc", "ab\u0100c"]) expect(() => decodeBase64(text)).toThrow(RangeError);
});
