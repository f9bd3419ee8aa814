import { describe, expect, test } from "vitest";
import { icuLanguages, trimIcu } from "./icu.ts";

/** A bundle of ICU's with one table of 16-bit keys and 32-bit items below "InstalledLocales". */
function localeIndex(locales: readonly string[]): Buffer {
  const names = ["InstalledLocales", ...locales];
  const offsets: number[] = [];
  let text = "";
  // Eight words come before the names: the root and its index.
  for (const name of names) {
    offsets.push(32 + text.length);
    text += `${name}\0`;
  }
  const keys = Buffer.from(text.padEnd(Math.ceil(text.length / 4) * 4, "\0"), "latin1");
  const table = (list: readonly number[], items: readonly number[]): Buffer => {
    const width = Math.ceil((2 + list.length * 2) / 4) * 4;
    const bytes = Buffer.alloc(width + items.length * 4);
    bytes.writeUInt16LE(list.length, 0);
    for (const [index, key] of list.entries()) bytes.writeUInt16LE(key, 2 + index * 2);
    for (const [index, item] of items.entries()) bytes.writeUInt32LE(item, width + index * 4);
    return bytes;
  };
  const inner = table(
    offsets.slice(1),
    locales.map((_, index) => 1000 + index),
  );
  const innerAt = (32 + keys.length) / 4;
  const outer = table([offsets[0]!], [((2 << 28) | innerAt) >>> 0]);
  const outerAt = innerAt + inner.length / 4;
  const head = Buffer.alloc(32);
  head.writeUInt32LE(((2 << 28) | outerAt) >>> 0, 0);
  head.writeUInt32LE(7, 4);
  head.writeUInt32LE((32 + keys.length) / 4, 8);
  head.writeUInt32LE(outerAt + outer.length / 4, 16);
  return Buffer.concat([resourceHeader(), head, keys, inner, outer]);
}

function resourceHeader(): Buffer {
  const header = Buffer.alloc(32);
  header.writeUInt16LE(32, 0);
  header.write("\xda\x27", 2, "latin1");
  header.write("ResB", 12);
  return header;
}

function locales(bundle: Buffer): readonly string[] {
  const root = 32;
  const outer = root + (bundle.readUInt32LE(root) & 0x0fffffff) * 4;
  const inner = root + (bundle.readUInt32LE(outer + 4) & 0x0fffffff) * 4;
  const count = bundle.readUInt16LE(inner);
  const items = inner + Math.ceil((2 + count * 2) / 4) * 4;
  return Array.from({ length: count }, (_, index) => {
    const key = root + bundle.readUInt16LE(inner + 2 + index * 2);
    const name = bundle.toString("latin1", key, bundle.indexOf(0, key));
    return `${name}=${String(bundle.readUInt32LE(items + index * 4))}`;
  });
}

/** A program with an ICU table in it: other bytes before and behind. */
function program(items: Readonly<Record<string, Buffer>>): Buffer {
  const sorted = Object.entries(items).sort(([a], [b]) => (a < b ? -1 : 1));
  const header = Buffer.alloc(32);
  header.writeUInt16LE(32, 0);
  header.write("\xda\x27", 2, "latin1");
  header.write("CmnD", 12);
  const names = sorted.map(([name]) => `icudt1l/${name}\0`);
  const toc = Buffer.alloc(4 + sorted.length * 8);
  toc.writeUInt32LE(sorted.length, 0);
  let nameAt = toc.length;
  let at = Math.ceil((toc.length + names.join("").length) / 16) * 16;
  const start = at;
  const data: Buffer[] = [];
  for (const [index, [, bytes]] of sorted.entries()) {
    toc.writeUInt32LE(nameAt, 4 + index * 8);
    toc.writeUInt32LE(at, 8 + index * 8);
    nameAt += names[index]!.length;
    const padded = Buffer.concat([bytes, Buffer.alloc(Math.ceil(bytes.length / 16) * 16 - bytes.length)]);
    data.push(index + 1 < sorted.length ? padded : bytes);
    at += padded.length;
  }
  const gap = Buffer.alloc(start - nameAt);
  return Buffer.concat([
    Buffer.from("before CmnD, by chance......."),
    header,
    toc,
    Buffer.from(names.join("")),
    gap,
    ...data,
    Buffer.from("behind"),
  ]);
}

function itemsOf(bytes: Buffer): Readonly<Record<string, Buffer>> {
  const table = bytes.indexOf("CmnD\0") - 12 + 32;
  const count = bytes.readUInt32LE(table);
  return Object.fromEntries(
    Array.from({ length: count }, (_, index) => {
      const name = table + bytes.readUInt32LE(table + 4 + index * 8);
      const start = table + bytes.readUInt32LE(table + 8 + index * 8);
      const end = index + 1 < count ? table + bytes.readUInt32LE(table + 16 + index * 8) : bytes.length;
      return [bytes.toString("latin1", name, bytes.indexOf(0, name)), bytes.subarray(start, end)];
    }),
  );
}

/** The smallest bundle: its index says that it has 8 words. */
function bundle(mark: string): Buffer {
  const body = Buffer.alloc(32);
  body.writeUInt32LE(8, 16);
  body.write(mark, 20);
  return Buffer.concat([resourceHeader(), body]);
}

const items = {
  "brkitr/cjdict.dict": Buffer.alloc(5000, 1),
  "brkitr/thaidict.dict": Buffer.alloc(5000, 2),
  "coll/de__PHONEBOOK.res": bundle("phonebook"),
  "coll/root.res": bundle("collation"),
  "de.res": bundle("german"),
  "ebcdic-large.cnv": Buffer.alloc(9000, 4),
  "ebcdic-small.cnv": Buffer.alloc(900, 4),
  "en.res": bundle("english"),
  "en_GB.res": bundle("british"),
  "gb18030-2022.cnv": Buffer.alloc(9000, 5),
  "lang/pool.res": bundle("pool"),
  "nn.res": bundle("nynorsk"),
  "no.res": bundle("norsk"),
  "plurals.res": bundle("plurals"),
  "res_index.res": localeIndex(["de", "en", "en_GB", "nn", "no", "th"]),
  "root.res": bundle("root"),
  "translit/root.res": bundle("rules"),
  "uprops.icu": Buffer.alloc(100, 3),
  "zone/zu.res": bundle("zulu"),
};

const always = [
  "coll/root.res",
  "ebcdic-small.cnv",
  "gb18030-2022.cnv",
  "en.res",
  "en_GB.res",
  "lang/pool.res",
  "plurals.res",
  "res_index.res",
  "root.res",
];

describe("trimming the language data", () => {
  test.each<[string, "en" | readonly string[], readonly string[], readonly string[]]>([
    ["to English", "en", [], ["en=1001", "en_GB=1002"]],
    ["to German", ["de-AT"], ["coll/de__PHONEBOOK.res", "de.res"], ["de=1000", "en=1001", "en_GB=1002"]],
    ["to Norwegian", ["nb"], ["nn.res", "no.res"], ["en=1001", "en_GB=1002", "nn=1003", "no=1004"]],
    ["to Thai", ["th"], ["brkitr/thaidict.dict"], ["en=1001", "en_GB=1002", "th=1005"]],
  ])("%s keeps what those languages need, and lists no other locale", (_, choice, more, listed) => {
    const bytes = program(items);
    const size = bytes.length;
    const trimmed = trimIcu(bytes, choice);
    const left = itemsOf(bytes);
    expect(Object.keys(left)).toEqual([...always, "uprops.icu", ...more].sort().map((name) => `icudt1l/${name}`));
    for (const [name, content] of Object.entries(left)) {
      const original = items[name.slice(8) as keyof typeof items];
      if (!name.endsWith("res_index.res")) expect(content.subarray(0, original.length).equals(original)).toBe(true);
    }
    expect(locales(left["icudt1l/res_index.res"]!)).toEqual(listed);
    expect(bytes.length).toBe(size);
    expect(bytes.toString("latin1", size - 6)).toBe("behind");
    expect(trimmed.name).toBe("icudt1l");
    expect(trimmed.after).toBeLessThan(trimmed.before);
    const end = size - 6;
    expect(bytes.subarray(end - (trimmed.before - trimmed.after), end).every((byte) => byte === 0)).toBe(true);
  });

  test("to everything changes nothing", () => {
    const bytes = program(items);
    trimIcu(bytes, "full");
    expect(bytes.equals(program(items))).toBe(true);
  });

  test("a program without the table is left as it is", () => {
    expect(trimIcu(Buffer.from("no table"), "en")).toMatchObject({ name: "", before: 0, after: 0 });
  });

  test("a table that lies outside the program is refused", () => {
    const bytes = program(items);
    bytes.writeUInt32LE(0xffff, bytes.indexOf("CmnD\0") - 12 + 32);
    expect(() => trimIcu(bytes, "en")).toThrow("ICU's table has 65535 entries");
  });

  test("what is no locale is refused", () => {
    expect(() => icuLanguages(["de", "klingon!"])).toThrow(`"klingon!" is no locale`);
  });
});
