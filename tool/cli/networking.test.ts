import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { build } from "esbuild";
import { afterAll, describe, expect, test } from "vitest";
import { findNetworking } from "./networking.ts";

const folder = mkdtempSync(path.join(tmpdir(), "tesserae-networking-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function find(files: Readonly<Record<string, string>>): Promise<string | undefined> {
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(folder, name), text);
  const { metafile } = await build({
    entryPoints: [path.join(folder, "main.ts")],
    absWorkingDir: folder,
    bundle: true,
    write: false,
    metafile: true,
    format: "esm",
    platform: "node",
    logLevel: "silent",
  });
  const found = findNetworking(
    metafile,
    (input) => input.startsWith("ours"),
    (input) => path.join(folder, input),
  );
  return found === undefined ? undefined : `${found.module} in ${found.input}`;
}

describe("what of Node.js's networking an image uses", () => {
  test.each([
    ["an import", { "main.ts": `import http from "node:http"; http.createServer();` }, "node:http in main.ts"],
    ["of the old name", { "main.ts": `import { connect } from "tls"; connect({});` }, "tls in main.ts"],
    ["a require", { "main.ts": `const dns = require("dns"); dns.lookup("x", () => 0);` }, "dns in main.ts"],
    ["a call of fetch", { "main.ts": `export const page = await fetch("http://x/");` }, "fetch in main.ts"],
    ["through globalThis", { "main.ts": `await globalThis.fetch("http://x/");` }, "fetch in main.ts"],
    ["a module that is no network", { "main.ts": `import fs from "node:fs"; fs.readFileSync("x");` }, undefined],
    ["a handler that is called fetch", { "main.ts": `const app = {}; app.fetch(new Request("x"));` }, undefined],
    [
      "one of ours",
      { "main.ts": `import { net } from "./ours.ts"; net.isIP("x");`, "ours.ts": `export * as net from "node:net";` },
      undefined,
    ],
    [
      "code that is not in the image",
      {
        "main.ts": `import { used } from "./other.ts"; used();`,
        "other.ts": `import "node:fs"; export function used() {}`,
      },
      undefined,
    ],
  ])("%s", async (_what, files, expected) => {
    expect(await find(files)).toBe(expected);
  });
});
