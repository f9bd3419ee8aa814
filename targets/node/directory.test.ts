import { mkdir, mkdtemp, realpath, rename, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { spawnSync } from "node:child_process";
import { KvError, type Kv } from "@tesserae/device/kv";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createDirectory } from "./directory.ts";

let base: string;
let kv: Kv;
const text = new TextDecoder();

beforeEach(async () => {
  base = await realpath(await mkdtemp(join(tmpdir(), "tesserae-directory-")));
  await mkdir(join(base, "site/img/deep"), { recursive: true });
  await writeFile(join(base, "secret.txt"), "secret");
  await writeFile(join(base, "site/index.html"), "<p>hello</p>");
  await writeFile(join(base, "site/img/logo.svg"), "<svg/>");
  await writeFile(join(base, "site/img/deep/a.bin"), new Uint8Array(300_000).fill(7));
  await writeFile(join(base, "site/img.txt"), "");
  kv = await createDirectory({ path: join(base, "site") });
});
afterEach(async () => {
  await kv.close();
  await rm(base, { recursive: true });
});

const read = async (key: string, offset?: number, length?: number) => {
  const bytes = await kv.get(key, offset, length);
  return bytes === undefined ? undefined : text.decode(bytes);
};

describe("reading", () => {
  test("files, whole and in part", async () => {
    expect(await read("index.html")).toBe("<p>hello</p>");
    expect(await read("index.html", 3)).toBe("hello</p>");
    expect(await read("index.html", 3, 5)).toBe("hello");
    expect(await read("index.html", 3, 500)).toBe("hello</p>");
    expect(await read("index.html", 12)).toBe("");
    expect(await read("index.html", 1000, 1)).toBe("");
    expect(await read("img.txt")).toBe("");
    expect((await kv.get("img/deep/a.bin"))?.length).toBe(300_000);
  });

  test("what is no file does not exist", async () => {
    for (const key of ["absent", "img", "index.html/x", "img/deep"]) {
      expect(await kv.get(key)).toBeUndefined();
      expect(await kv.stat(key)).toBeUndefined();
    }
  });

  test.each(["../secret.txt", "/etc/passwd", "img//logo.svg", "img/../index.html", "./index.html", "", "a\0b"])(
    "key %j is refused",
    async (key) => {
      await expect(kv.get(key)).rejects.toMatchObject({ name: "KvError", kind: "bad-key" });
      await expect(kv.stat(key)).rejects.toBeInstanceOf(KvError);
    },
  );

  test.each([
    [-1, undefined],
    [1.5, undefined],
    [0, -1],
    [0, NaN],
  ])("offset %s and length %s are refused", async (offset, length) => {
    await expect(kv.get("index.html", offset, length)).rejects.toBeInstanceOf(RangeError);
  });

  test("a closed directory refuses", async () => {
    await kv.close();
    await expect(kv.get("index.html")).rejects.toMatchObject({ kind: "closed" });
    await expect(kv.list()).rejects.toMatchObject({ kind: "closed" });
  });

  test("a directory that is none is refused", async () => {
    await expect(createDirectory({ path: join(base, "absent") })).rejects.toMatchObject({ kind: "io" });
    await expect(createDirectory({ path: join(base, "secret.txt") })).rejects.toThrow("not a directory");
  });
});

describe("links", () => {
  test("one that stays inside is followed; one that leaves leads nowhere", async () => {
    await symlink("index.html", join(base, "site/home.html"));
    await symlink("../secret.txt", join(base, "site/out.txt"));
    await symlink(base, join(base, "site/up"));
    await symlink("img", join(base, "site/pictures"));
    await symlink("loop", join(base, "site/loop"));
    expect(await read("home.html")).toBe("<p>hello</p>");
    expect(await read("pictures/logo.svg")).toBe("<svg/>");
    for (const key of ["out.txt", "up/secret.txt", "up/site/index.html/x", "loop"]) {
      expect(await kv.get(key)).toBeUndefined();
      expect(await kv.stat(key)).toBeUndefined();
    }
    // It leaves and comes back: what it names is inside.
    expect(await read("up/site/index.html")).toBe("<p>hello</p>");
    expect(await kv.list()).toEqual(["home.html", "img.txt", "img/deep/a.bin", "img/logo.svg", "index.html"]);
  });

  test("a folder beside the root whose name begins alike is outside", async () => {
    await mkdir(join(base, "site-private"));
    await writeFile(join(base, "site-private/key"), "secret");
    await symlink("../site-private/key", join(base, "site/key"));
    expect(await kv.get("key")).toBeUndefined();
  });

  test("a FIFO does not exist, and does not block", async () => {
    expect(spawnSync("mkfifo", [join(base, "site/pipe")]).status).toBe(0);
    expect(await kv.get("pipe")).toBeUndefined();
    expect(await kv.list()).not.toContain("pipe");
  });
});

describe("stat", () => {
  test("tells size and time", async () => {
    await utimes(join(base, "site/index.html"), 1_700_000_000, 1_700_000_000);
    expect(await kv.stat("index.html")).toMatchObject({ size: 12, modified: 1_700_000_000_000 });
  });

  test("the digest of a small file follows its bytes, even within one tick of the clock", async () => {
    const path = join(base, "site/index.html");
    const seen = new Set<string>();
    for (let round = 0; round < 20; round++) {
      await writeFile(path, String(round).padStart(12, "0"));
      await utimes(path, 1, 1);
      seen.add((await kv.stat("index.html"))?.digest ?? "");
    }
    expect(seen.size).toBe(20);
    await writeFile(path, "<p>hello</p>");
    const first = (await kv.stat("index.html"))?.digest;
    await writeFile(join(base, "site/copy"), "<p>hello</p>");
    expect((await kv.stat("copy"))?.digest).toBe(first);
    expect(first).toMatch(/^[\w-]{22}$/);
  });

  test("the digest of a large file changes when it is replaced", async () => {
    const first = (await kv.stat("img/deep/a.bin"))?.digest;
    expect((await kv.stat("img/deep/a.bin"))?.digest).toBe(first);
    await writeFile(join(base, "next"), new Uint8Array(300_000).fill(8));
    await rename(join(base, "next"), join(base, "site/img/deep/a.bin"));
    expect((await kv.stat("img/deep/a.bin"))?.digest).not.toBe(first);
  });
});

describe("list", () => {
  test("gives all files in byte order, or those below a path", async () => {
    expect(await kv.list()).toEqual(["img.txt", "img/deep/a.bin", "img/logo.svg", "index.html"]);
    expect(await kv.list("img")).toEqual(["img/deep/a.bin", "img/logo.svg"]);
    expect(await kv.list("img/")).toEqual(["img/deep/a.bin", "img/logo.svg"]);
    expect(await kv.list("index.html")).toEqual(["index.html"]);
    expect(await kv.list("absent")).toEqual([]);
    await expect(kv.list("../")).rejects.toMatchObject({ kind: "bad-key" });
  });

  test("every key listed can be read", async () => {
    await writeFile(join(base, "site/\u{1f600}"), "above");
    await writeFile(join(base, "site/\uffee"), "below, in bytes");
    const keys = await kv.list();
    expect(keys.slice(-2)).toEqual(["\uffee", "\u{1f600}"]);
    for (const key of keys) expect(await kv.get(key)).toBeDefined();
  });
});
