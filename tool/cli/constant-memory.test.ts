import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { rememberedCandidates } from "./constant-memory.ts";
import type { Project } from "./project.ts";
import { constantCandidates } from "./top-level-constants.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), "tesserae-constants-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const code = "// a.ts\nvar a = 1;\n// b.ts\nvar b = 2, c = 3;\nvar d = 4;\nd++;\n";
const file = (): string => path.join(folder, ".tesserae/constants/node.json");
// as: of a project nothing but its folder is asked.
const find = (text: string): unknown => rememberedCandidates({ folder } as Project, "node", text);

test("what was found is remembered for the same bundle, and for no other", () => {
  const found = constantCandidates(code);
  expect(found).toEqual([
    { place: 8, module: "a.ts" },
    { place: 27, module: "b.ts" },
  ]);
  expect(find(code)).toEqual(found);
  const kept = readFileSync(file(), "utf8");
  expect(find(code)).toEqual(found);
  expect(readFileSync(file(), "utf8")).toBe(kept);
  expect(find(`\n${code}`)).toEqual(found.map(({ place, module }) => ({ place: place + 1, module })));
  expect(readFileSync(file(), "utf8")).not.toBe(kept);
});

test.each<[string, (kept: string) => string]>([
  ["changed", (kept) => kept.replace('"place":8', '"place":9')],
  ["cut", (kept) => kept.slice(0, -5)],
  ["empty", () => ""],
  ["something else", () => "null"],
])("what is remembered and %s meanwhile is found again", (_, damage) => {
  const found = find(code);
  const kept = readFileSync(file(), "utf8");
  writeFileSync(file(), damage(kept));
  expect(find(code)).toEqual(found);
  expect(readFileSync(file(), "utf8")).toBe(kept);
});
