import { spawn, type ChildProcess } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { afterAll, beforeAll, expect, test } from "vitest";
import { copyApp, prepareTool, root, scratchFolder, type Tool } from "./fixtures/tool.ts";

let tool: Tool;
const scratch = scratchFolder();
let child: ChildProcess | undefined;

beforeAll(async () => {
  tool = await prepareTool();
}, 120_000);

afterAll(() => {
  child?.kill("SIGKILL");
  tool.remove();
  scratch.remove();
});

test("dev runs again after a change, goes on through errors, and ends on a signal", { timeout: 180_000 }, async () => {
  const folder = path.join(scratch.folder, "app");
  copyApp("sampler", folder);
  const main = path.join(folder, "main.ts");
  const source = readFileSync(main, "utf8");
  let said = "";
  let wake: () => void = () => undefined;
  child = spawn(process.execPath, ["--input-type=module", "-e", tool.start, "--", "dev", folder, "--no-check"], {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
  });
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      said += text;
      wake();
    });
  }
  /** Waits until the words have come, and forgets what came before them. */
  const hear = async (words: string): Promise<void> => {
    while (!said.includes(words)) await new Promise<void>((resolve) => (wake = resolve));
    said = said.slice(said.indexOf(words) + words.length);
  };
  await hear("hello: 4 of 5");
  await hear("sampler ended with status 0");
  writeFileSync(main, source.replace("${keys.greeting}:", "changed:"));
  await hear("changed: 4 of 5");
  await hear("sampler ended with status 0");
  writeFileSync(main, "export function main( {");
  await hear("main.ts:1:");
  await hear("the old image keeps running");
  writeFileSync(main, source.replace("${keys.greeting}:", "mended:"));
  await hear("mended: 4 of 5");
  await hear("sampler ended with status 0");
  // One that goes on is stopped for the next one: that it ended is not worth a line.
  const lasting = source.replace("{ console,", "{ signal, console,").replace(
    "  if (keys.fail)",
    `  const beat = setInterval(() => undefined, 1000);
  await new Promise((resolve) => signal.addEventListener("abort", resolve));
  clearInterval(beat);
  if (keys.fail)`,
  );
  writeFileSync(main, lasting.replace("${keys.greeting}:", "lasting:"));
  await hear("lasting: 4 of 5");
  await hear("index.html: 38 bytes");
  writeFileSync(main, lasting.replace("${keys.greeting}:", "replaced:"));
  const words = ["changed: running sampler again", "replaced: 4 of 5"];
  while (!words.every((each) => said.includes(each))) await new Promise<void>((resolve) => (wake = resolve));
  expect(said).not.toContain("ended with status");
  const ended = new Promise((resolve) => child?.once("exit", resolve));
  child.kill("SIGTERM");
  expect(await ended).toBe(0);
});
