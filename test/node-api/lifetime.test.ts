// What keeps a process with our sockets alive, and what ends it.
import { spawn } from "node:child_process";
import { beforeAll, expect, test } from "vitest";
import { bundleProgram } from "./program.ts";

let bundle: string;
beforeAll(async () => {
  bundle = await bundleProgram("lifetime");
});

async function run(
  program: string,
): Promise<{ readonly status: number | null; readonly out: string; readonly error: string }> {
  const child = spawn(process.execPath, [bundle, program], { stdio: ["ignore", "pipe", "pipe"], timeout: 20_000 });
  let out = "";
  let error = "";
  child.stdout.on("data", (data: Buffer) => (out += data.toString()));
  child.stderr.on("data", (data: Buffer) => (error += data.toString()));
  const status = await new Promise<number | null>((resolve) => child.on("close", resolve));
  return { status, out, error };
}

test.each([
  ["nothing is open", ""],
  ["a listening server keeps the process", "closed\n"],
  ["an unreferenced server does not", "listening\n"],
  ["a connection that reads keeps it", "data\n"],
  ["a connection that does not read, and has nothing to send, does not", "connected\n"],
  ["what was written is delivered after the last handle is gone", "1000000\n"],
  ["a bound datagram socket keeps it", "closed\n"],
  ["a lookup keeps it", "127.0.0.1\n"],
  ["a server that is closed between requests lets it end", "answer\n"],
  ["pipes stay the kernel's", "by pipe\n"],
  ["a socket of before stays the kernel's", "true\nclosed\n"],
  ["nothing is left behind", "127.0.0.1\n"],
])("%s", async (program, out) => {
  expect(await run(program)).toEqual({ status: 0, out, error: "" });
});

test("what a handler throws is an uncaught exception, and the rest goes on", async () => {
  const { status, out } = await run("what a handler throws is an uncaught exception");
  expect(status).toBe(7);
  expect(out.split("\n").sort().join(" ").trim()).toBe(
    ["connect", "connection", "data", "datagram"].map((each) => `uncaughtException ${each}`).join(" "),
  );
});

test("an exception that nobody catches ends it", async () => {
  const { status, error } = await run("an exception that nobody catches ends it");
  expect(status).toBe(1);
  expect(error).toContain("Error: from a handler");
});
