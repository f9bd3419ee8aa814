import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { externalSource, findsExternal } from "./external.ts";
import { copyApp, prepareTool } from "./fixtures/tool.ts";

let folder: string;

beforeEach(() => {
  folder = realpathSync(mkdtempSync(path.join(tmpdir(), "tesserae-test-")));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function install(where: string, name: string): void {
  const place = path.join(folder, where, "node_modules", name);
  mkdirSync(place, { recursive: true });
  writeFileSync(path.join(place, "package.json"), JSON.stringify({ name, main: "./index.cjs" }));
  writeFileSync(path.join(place, "index.cjs"), `module.exports = ${JSON.stringify(where)};`);
}

/** What an image in `where` gets for the package, or the code of the error. */
async function load(where: string): Promise<unknown> {
  const image = path.join(folder, where, ".tesserae/tap/image.mjs");
  mkdirSync(path.dirname(image), { recursive: true });
  writeFileSync(image, externalSource("native", "@own/target"));
  // as: it is what the line above wrote
  const outcome = await (import(pathToFileURL(image).href) as Promise<{ default: unknown }>).then(
    (module) => module.default,
    (error: unknown) => (error as NodeJS.ErrnoException).code,
  );
  expect(findsExternal("native", "@own/target", path.dirname(image))).toBe(outcome !== "MODULE_NOT_FOUND");
  return outcome;
}

test("a package is found above the image", async () => {
  install("", "native");
  expect(await load("app")).toBe("");
});

test("a package is found where npm put it inside the one that depends on it, before another version above", async () => {
  install("app", "@own/target");
  install("app/node_modules/@own/target", "native");
  install("", "native");
  expect(await load("app")).toBe("app/node_modules/@own/target");
});

test("a package is found beside the one that depends on it when that is a link", async () => {
  install("store", "@own/target");
  install("store", "native");
  mkdirSync(path.join(folder, "app/node_modules/@own"), { recursive: true });
  symlinkSync(path.join(folder, "store/node_modules/@own/target"), path.join(folder, "app/node_modules/@own/target"));
  expect(await load("app")).toBe("store");
});

test("a package that is nowhere is missed", async () => {
  install("app", "@own/target");
  expect(await load("app")).toBe("MODULE_NOT_FOUND");
});

test("build says when an image would not find one", { timeout: 60_000 }, async () => {
  const app = path.join(folder, "app");
  copyApp("sampler", app);
  const tool = await prepareTool();
  try {
    const { status, stdout, stderr } = await tool.run(["build", "--target", "tap", "--no-check"], { cwd: app });
    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toContain('loads the package "koffi", and would not find it from .tesserae/tap');
    expect(stderr).toContain(`run, in ${app}: npm install @tesserae/tap`);
  } finally {
    tool.remove();
  }
});
