import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { KeptFiles } from "./kept-files.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), "tesserae-kept-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Makes a file look as if it was used some hours ago. */
function age(name: string, hours: number): void {
  const then = new Date(Date.now() - hours * 3_600_000);
  utimesSync(path.join(folder, name), then, then);
}

test("what is kept is given back", () => {
  const kept = new KeptFiles(path.join(folder, "deep/er"), 2);
  expect(kept.get("a")).toBeUndefined();
  kept.put("a", [Buffer.from("some "), Buffer.from("thing")]);
  expect(kept.get("a")?.toString()).toBe("some thing");
  kept.put("a", [Buffer.from("else")]);
  expect(kept.get("a")?.toString()).toBe("else");
});

test.each<[string, (bytes: Buffer) => Buffer]>([
  ["changed", (bytes) => (bytes.writeUInt8(bytes.readUInt8(40) ^ 1, 40), bytes)],
  ["cut", (bytes) => bytes.subarray(0, -1)],
  ["cut in its hash", (bytes) => bytes.subarray(0, 20)],
  ["empty", () => Buffer.alloc(0)],
])("what was %s is not given back", (_, damage) => {
  const kept = new KeptFiles(folder, 2);
  kept.put("a", [Buffer.from("some thing")]);
  const file = path.join(folder, "a");
  writeFileSync(file, damage(readFileSync(file)));
  expect(kept.get("a")).toBeUndefined();
});

test("those that were used last stay", () => {
  const kept = new KeptFiles(folder, 3);
  for (const [index, name] of ["a", "b", "c"].entries()) {
    kept.put(name, [Buffer.from(name)]);
    age(name, 10 - index);
  }
  expect(kept.get("a")?.toString()).toBe("a");
  kept.put("d", [Buffer.from("d")]);
  expect(readdirSync(folder).sort()).toEqual(["a", "c", "d"]);
});

test("what a process left half written goes, but not what one may be writing", () => {
  const kept = new KeptFiles(folder, 3);
  for (const name of ["old.tmp", "new.tmp"]) writeFileSync(path.join(folder, name), "…");
  age("old.tmp", 2);
  kept.put("a", [Buffer.from("a")]);
  expect(readdirSync(folder).sort()).toEqual(["a", "new.tmp"]);
});

test("a folder that cannot be written keeps nothing, and is no failure", () => {
  writeFileSync(path.join(folder, "file"), "");
  const kept = new KeptFiles(path.join(folder, "file"), 3);
  kept.put("a", [Buffer.from("a")]);
  expect(kept.get("a")).toBeUndefined();
  mkdirSync(path.join(folder, "a"));
  expect(new KeptFiles(folder, 3).get("a")).toBeUndefined();
});
