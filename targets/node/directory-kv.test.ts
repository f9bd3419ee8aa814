import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { kvSuite, writableKvSuite } from "@tesserae/conformance/kv";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createDirectoryKv } from "./directory-kv.ts";

let folder: string;
let made = 0;
beforeAll(async () => (folder = await mkdtemp(join(tmpdir(), "directory-kv-"))));
afterAll(() => rm(folder, { recursive: true }));

const fresh = () => createDirectoryKv({ path: join(folder, String(made++), "below") });

describe("conformance of a directory that can be written to", () => {
  for (const each of kvSuite) {
    test(each.name, () =>
      each.run({
        async make(files) {
          const kv = await fresh();
          for (const [key, bytes] of Object.entries(files)) await kv.set(key, bytes);
          return kv;
        },
      }),
    );
  }
  for (const each of writableKvSuite) test(each.name, () => each.run({ make: fresh }));
});

test("what was set is there for the next who opens the folder, and what was not finished is not", async () => {
  const path = join(folder, "kept");
  const first = await createDirectoryKv({ path });
  await first.set("a/b", Uint8Array.of(1, 2, 3));
  await first.set("a", Uint8Array.of(4));
  await first.delete("a");
  await writeFile(join(path, "~new", "77"), "half");
  await first.close();
  const second = await createDirectoryKv({ path });
  expect(await second.list()).toEqual(["a/b"]);
  expect(await second.get("a/b")).toEqual(Uint8Array.of(1, 2, 3));
  expect(await second.delete("a/b")).toBe(true);
  expect(await readdir(path)).toEqual(["~new"]);
});

test("a folder that cannot be is told of; without one it is memory", async () => {
  const file = join(folder, "file");
  await writeFile(file, "");
  await expect(createDirectoryKv({ path: join(file, "below") })).rejects.toMatchObject({ kind: "io" });
  const kv = await createDirectoryKv({ path: "" });
  await kv.set("x", Uint8Array.of(1));
  expect(await kv.list()).toEqual(["x"]);
});
