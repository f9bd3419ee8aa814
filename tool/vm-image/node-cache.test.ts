import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { build } from "esbuild";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readyNode, type ReadyNode } from "./node-cache.ts";

let folder = "";
let program = "";
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), "tesserae-ready-"));
  program = path.join(folder, "program");
  writeFileSync(program, elf("some code"));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A program for x86-64 of one segment, and something behind it that is not loaded. */
function elf(text: string): Buffer {
  const bytes = Buffer.alloc(4096);
  bytes.write("\x7fELF\x02\x01\x01", "latin1");
  bytes.writeUInt16LE(2, 16);
  bytes.writeUInt16LE(62, 18);
  bytes.writeUInt32LE(1, 20);
  bytes.writeBigUInt64LE(64n, 32);
  bytes.writeUInt16LE(64, 52);
  bytes.writeUInt16LE(56, 54);
  bytes.writeUInt16LE(1, 56);
  bytes.writeUInt32LE(1, 64);
  bytes.writeUInt32LE(5, 68);
  for (const at of [96, 104]) bytes.writeBigUInt64LE(1024n, at);
  bytes.write(text, 200);
  return Buffer.concat([bytes, Buffer.from("symbols")]);
}

const ready = (): Promise<ReadyNode> => readyNode({ node: program, cache: folder }, "en");
const kept = (): readonly string[] => readdirSync(path.join(folder, "prepared"));

function shown({ program: bytes, elf: file, ...rest }: ReadyNode): unknown {
  return { ...rest, bytes: createHash("sha256").update(bytes).digest("hex"), segments: file.segments };
}

test("a program that was made ready before is the same", async () => {
  const first = await ready();
  expect(first.program.length).toBe(1024);
  expect(first.size).toBe(4096 + 7);
  expect(kept()).toHaveLength(1);
  expect(shown(await ready())).toEqual(shown(first));
  expect(kept()).toHaveLength(1);
});

test("another program, or another choice of languages, is made ready for itself", async () => {
  const first = await ready();
  await readyNode({ node: program, cache: folder }, ["de"]);
  expect(kept()).toHaveLength(2);
  writeFileSync(program, elf("other code"));
  expect(Buffer.from((await ready()).program).includes("other code")).toBe(true);
  expect(Buffer.from(first.program).includes("some code")).toBe(true);
  expect(kept()).toHaveLength(3);
});

test("the same languages in other words are one choice", async () => {
  await readyNode({ node: program, cache: folder }, ["de", "en-GB"]);
  await readyNode({ node: program, cache: folder }, ["de-AT"]);
  expect(kept()).toHaveLength(1);
});

test("a tool that is bundled into one file prepares and keeps as well", async () => {
  const outfile = path.join(folder, "tool.mjs");
  await build({
    entryPoints: [path.join(import.meta.dirname, "node-cache.ts")],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    logLevel: "silent",
  });
  // as: it is that module.
  const bundled = (await import(outfile)) as { readonly readyNode: typeof readyNode };
  const first = await bundled.readyNode({ node: program, cache: folder }, "en");
  expect(kept()).toHaveLength(1);
  expect(shown(await bundled.readyNode({ node: program, cache: folder }, "en"))).toEqual(shown(first));
  expect(shown(await ready())).toEqual(shown(first));
});

test("what was damaged meanwhile is made anew", async () => {
  const first = await ready();
  const file = path.join(folder, "prepared", kept()[0] ?? "");
  const bytes = readFileSync(file);
  bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
  writeFileSync(file, bytes);
  expect(shown(await ready())).toEqual(shown(first));
  expect(readFileSync(file).equals(bytes)).toBe(false);
});
