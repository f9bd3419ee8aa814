import { cpSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { targets } from "@tesserae/config/target";
import { afterAll, beforeAll, expect, test } from "vitest";
import { CheckMemory } from "./check-memory.ts";
import { checkTypes, type CheckRequest } from "./check-types.ts";
import { scratchFolder } from "./fixtures/tool.ts";
import { PackageTree } from "./package-tree.ts";
import { ParsedFiles } from "./parsed-files.ts";
import { openProject, type Project } from "./project.ts";

const scratch = scratchFolder();
const folder = path.join(scratch.folder, "app");
const memory = path.join(folder, ".tesserae/checked/node.json");

let project: Project;

function write(name: string, text: string, to = folder): void {
  mkdirSync(path.dirname(path.join(to, name)), { recursive: true });
  writeFileSync(path.join(to, name), text);
}

function request(other: Partial<CheckRequest> = {}): CheckRequest {
  const target = targets.find((each) => each.name === "node")!;
  return { project, packages: new PackageTree(), main: "./main.ts", devices: [], keys: [], target, ...other };
}

const holds = (other?: Partial<CheckRequest>): boolean => new CheckMemory(request(other)).holds();

beforeAll(() => {
  write(
    "tesserae.config.ts",
    `import { defineConfig } from "@tesserae/config/config";
export const config = defineConfig({ name: "app", main: "./main.ts", devices: {} });\n`,
  );
  write(
    "main.ts",
    `import { two } from "dep";\nimport { one } from "./one.ts";\nimport { three } from "./three.js";
export async function main(): Promise<void> {\n  await Promise.resolve(one * two * three);\n}\n`,
  );
  write("one.ts", "export const one: number = 1;\n");
  write("three.d.ts", "export declare const three: number;\n");
  write("tsconfig.json", `{ "extends": "./base.json" }\n`);
  write(
    "base.json",
    `{ "compilerOptions": { "strict": true, "target": "ES2022", "lib": ["ES2023", "DOM"], "types": [] } }\n`,
  );
  write("node_modules/dep/package.json", `{ "name": "dep", "version": "1.0.0", "types": "./two.d.ts" }\n`);
  write("node_modules/dep/two.d.ts", "export declare const two: number;\n");
  project = openProject(folder);
  expect(checkTypes(request())).toEqual([]);
}, 60_000);

afterAll(() => scratch.remove());

test("a check that found nothing holds while nothing changes", () => {
  expect(holds()).toBe(true);
  const before = statSync(memory, { bigint: true }).mtimeNs;
  expect(checkTypes(request())).toEqual([]);
  expect(statSync(memory, { bigint: true }).mtimeNs).toBe(before);
});

test.each([
  ["tesserae.config.ts"],
  ["main.ts"],
  ["one.ts"],
  ["three.d.ts"],
  ["tsconfig.json"],
  ["base.json"],
  ["node_modules/dep/package.json"],
  ["node_modules/dep/two.d.ts"],
])("it does not when %s changes, or goes away", (name) => {
  const file = path.join(folder, name);
  const text = readFileSync(file, "utf8");
  writeFileSync(file, `${text} `);
  expect(holds()).toBe(false);
  rmSync(file);
  expect(holds()).toBe(false);
  writeFileSync(file, text);
  expect(holds()).toBe(true);
});

test("every file that the compiler read counts, its own libraries too", () => {
  // as: what CheckMemory wrote
  const { testimony } = JSON.parse(readFileSync(memory, "utf8")) as {
    testimony: { readFile: Record<string, string | null> };
  };
  const read = Object.keys(testimony.readFile);
  for (const end of ["/lib.dom.d.ts", "/config/config.ts", "/one.ts", "/dep/two.d.ts", "/app/base.json"]) {
    expect(read.some((each) => each.endsWith(end))).toBe(true);
  }
});

test("a file that did not exist counts when it would come first", () => {
  write("three.ts", "export const three: string = '';\n");
  expect(holds()).toBe(false);
  expect(checkTypes(request()).map((each) => each.location?.line)).toEqual([5]);
  rmSync(path.join(folder, "three.ts"));
  expect(holds()).toBe(true);
});

test("a check with findings is not remembered, and the one before holds again when they are mended", () => {
  const text = readFileSync(path.join(folder, "one.ts"), "utf8");
  for (const parsed of [undefined, new ParsedFiles()]) {
    write("one.ts", "export const one: number = 'one';\n");
    for (let time = 0; time < 2; time++) {
      expect(checkTypes(request({ parsed })).map((each) => each.location?.line)).toEqual([1]);
    }
    write("one.ts", text);
    expect(holds()).toBe(true);
  }
});

test("what has been read serves again, as long as the text and the options are the same", () => {
  const parsed = new ParsedFiles();
  const lines = (): readonly unknown[] => checkTypes(request({ parsed })).map((each) => each.location?.line);
  write("one.ts", "export const one: number | undefined = 1;\n");
  expect(lines()).toEqual([5]);
  expect(lines()).toEqual([5]);
  const base = readFileSync(path.join(folder, "base.json"), "utf8");
  write("base.json", base.replace(`"strict": true`, `"strict": false`));
  expect(lines()).toEqual([]);
  write("base.json", base);
  expect(lines()).toEqual([5]);
  write("one.ts", "export const one: number = 1;\n");
  expect(lines()).toEqual([]);
});

test("another question, another place and a memory that is no memory are asked about anew", () => {
  const other = targets.find((each) => each.name === "sim")!;
  expect(holds({ target: other })).toBe(false);
  expect(holds({ main: "./one.ts" })).toBe(false);
  expect(holds({ scenario: "./one.ts" })).toBe(false);
  const copy = path.join(scratch.folder, "copy");
  cpSync(folder, copy, { recursive: true });
  expect(holds({ project: openProject(copy) })).toBe(false);
  const text = readFileSync(memory, "utf8");
  for (const broken of ["", "{", "null", "{}", text.slice(0, -5), `${text.slice(0, -2)},"readFile":7}}`]) {
    writeFileSync(memory, broken);
    expect(holds(), broken.slice(-20)).toBe(false);
  }
  writeFileSync(memory, text);
  expect(holds()).toBe(true);
});
