import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bytesContent } from "./content.ts";
import { layOut, type ImageEntry } from "./image-layout.ts";
import { readImage } from "./image-reader.ts";

function file(path: string, bytes: Uint8Array | string, sparse = false): ImageEntry {
  return { kind: "file", path, content: bytesContent(Buffer.from(bytes)), sparse };
}

function written(entries: readonly ImageEntry[]): Buffer {
  const chunks: Uint8Array[] = [];
  layOut(entries).write((bytes) => chunks.push(bytes.slice()));
  return Buffer.concat(chunks);
}

describe("the layout", () => {
  test("has the header that the kernel expects", () => {
    const image = written([file("/a", "x")]);
    expect(image.toString("latin1", 0, 8)).toBe("TESSERAE");
    expect(image.readUInt32LE(8)).toBe(1);
    expect(image.readUInt32LE(12)).toBe(2);
    expect(image.readBigUInt64LE(16)).toBe(BigInt(image.length));
    expect(image.toString("latin1", 64 + 2 * 48, 64 + 2 * 48 + 5)).toBe("/\0/a\0");
    expect(image.length).toBe(2 * 4096);
  });

  test("makes the directories above a file", () => {
    const image = readImage(bytesContent(written([file("/usr/bin/node", "x")])));
    expect(image.entries.map(({ path, mode, parent }) => [path, mode.toString(8), parent])).toEqual([
      ["/", "40755", 0],
      ["/usr", "40755", 0],
      ["/usr/bin", "40755", 1],
      ["/usr/bin/node", "100644", 2],
    ]);
  });

  test("sorts by bytes, so that a name comes before what is below it and after shorter ones with lesser bytes", () => {
    const image = readImage(bytesContent(written([file("/a/b", "1"), file("/a-b", "2"), file("/a0", "3")])));
    expect(image.entries.map(({ path }) => path)).toEqual(["/", "/a", "/a-b", "/a/b", "/a0"]);
    expect(image.find("/a/b")?.parent).toBe(1);
  });

  test("leaves pages of zeros out of a sparse file", () => {
    const bytes = new Uint8Array(10 * 4096 + 5);
    bytes[3 * 4096 + 7] = 1;
    bytes[10 * 4096 + 4] = 2;
    const data = written([file("/sparse", bytes, true)]);
    // The records, the table, two pages.
    expect(data.length).toBe(4 * 4096);
    const image = readImage(bytesContent(data));
    const entry = image.entries[1]!;
    expect(entry.stored).toBe(3 * 4096);
    expect(Buffer.from(image.bytes(entry)).equals(bytes)).toBe(true);
  });

  test("keeps links by their target", () => {
    const image = readImage(bytesContent(written([{ kind: "link", path: "/lib64", target: "usr/lib" }])));
    expect(image.entries[1]).toMatchObject({ path: "/lib64", mode: 0o120777, size: 7 });
    expect(Buffer.from(image.bytes(image.entries[1]!)).toString()).toBe("usr/lib");
  });

  test.each([
    ["relative", "is not absolute"],
    ["/a//b", "has an empty part"],
    ["/a/", "has an empty part"],
    ["/a/../b", 'has a part ".."'],
    ["/a\0b", "has a NUL byte"],
    [`/${"x".repeat(256)}`, "has a part longer than 255 bytes"],
  ])("refuses the path %j", (path, why) => {
    expect(() => layOut([file(path, "")])).toThrow(why);
  });

  test("refuses what lies below a file, and what comes twice", () => {
    expect(() => layOut([file("/a", ""), file("/a/b", "")])).toThrow(
      `"/a/b" cannot be in an image: "/a" is no directory`,
    );
    expect(() => layOut([file("/a", ""), file("/a", "")])).toThrow(`"/a" is to be in the image twice`);
    expect(() => layOut([file("/a", ""), { kind: "directory", path: "/a" }])).toThrow("twice");
  });

  test("does not depend on the order of the entries", () => {
    const entries = [file("/b", "2"), file("/a/c", "3", true), { kind: "directory", path: "/tmp" } as const];
    expect(written(entries).equals(written([...entries].reverse()))).toBe(true);
  });
});

const names = fc.string({ unit: fc.constantFrom("a", "b", "-", "ä", "0"), minLength: 1, maxLength: 3 });
const paths = fc.array(names, { minLength: 1, maxLength: 3 }).map((parts) => `/${parts.join("/")}`);
const contents = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc.array(fc.tuple(fc.nat(40_000), fc.nat(255)), { maxLength: 4 }).map((bytes) => {
    const all = new Uint8Array(40_001);
    for (const [at, value] of bytes) all[at] = value;
    return all;
  }),
);

test("what is written is read back, whatever the tree", () => {
  const entries = fc.array(fc.tuple(paths, contents, fc.boolean()), { maxLength: 12 }).map((list) => {
    const taken = new Map<string, { readonly bytes: Uint8Array; readonly sparse: boolean }>();
    for (const [path, bytes, sparse] of list) {
      const clash = [...taken.keys()].some((each) => `${each}/`.startsWith(`${path}/`) || path.startsWith(`${each}/`));
      if (!clash) taken.set(path, { bytes, sparse });
    }
    return taken;
  });
  fc.assert(
    fc.property(entries, (tree) => {
      const image = readImage(
        bytesContent(written([...tree].map(([path, { bytes, sparse }]) => file(path, bytes, sparse)))),
      );
      const files = image.entries.filter(({ mode }) => (mode & 0o170000) === 0o100000);
      expect(files.map(({ path }) => path).sort()).toEqual([...tree.keys()].sort());
      for (const entry of files) {
        expect(Buffer.from(image.bytes(entry)).equals(tree.get(entry.path)!.bytes)).toBe(true);
      }
    }),
  );
});
