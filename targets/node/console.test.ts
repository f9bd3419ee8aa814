import { PassThrough, Writable } from "node:stream";
import { describe, expect, test } from "vitest";
import { createConsole } from "./console.ts";

describe("lines out", () => {
  test("are whole and in order", () => {
    const output = new PassThrough();
    const console = createConsole({ output });
    console.writeLine("one");
    console.writeLine("zwei ü");
    expect(String(output.read())).toBe("one\nzwei ü\n");
  });

  test("are dropped whole when the reader is too slow, and counted", () => {
    const held: string[] = [];
    const output = new Writable({ write: (chunk) => void held.push(String(chunk)) });
    const console = createConsole({ output });
    const line = "x".repeat(99_999);
    for (let round = 0; round < 30; round++) console.writeLine(line);
    expect(console.droppedLines).toBeGreaterThan(10);
    expect(output.writableLength).toBeLessThan(2 * 1024 * 1024);
    expect(held).toEqual([`${line}\n`]);
  });

  test("to a reader that is gone throw nothing", async () => {
    const output = new Writable({ write: (_chunk, _encoding, done) => done(new Error("EPIPE")) });
    const console = createConsole({ output });
    console.writeLine("one");
    await new Promise((resolve) => void setImmediate(resolve));
    console.writeLine("two");
    expect(console.droppedLines).toBe(1);
  });
});

describe("lines in", () => {
  const start = (): { input: PassThrough; read: (signal?: AbortSignal) => Promise<string | undefined> } => {
    const input = new PassThrough();
    const console = createConsole({ input, output: new PassThrough() });
    return { input, read: (signal) => console.readLine(signal === undefined ? {} : { signal }) };
  };

  test("come without their ends, however the bytes were cut", async () => {
    const { input, read } = start();
    for (const byte of Buffer.from("one\r\nzwei ü\n\nlast")) input.write(Buffer.of(byte));
    input.end();
    const lines: (string | undefined)[] = [];
    for (let line = await read(); line !== undefined; line = await read()) lines.push(line);
    expect(lines).toEqual(["one", "zwei ü", "", "last"]);
    expect(await read()).toBeUndefined();
  });

  test("go to those who wait, in order; the rest is kept", async () => {
    const { input, read } = start();
    const waiting = Promise.all([read(), read()]);
    input.write("a\nb\nc\n");
    expect(await waiting).toEqual(["a", "b"]);
    expect(await read()).toBe("c");
  });

  test("an aborted read takes no line", async () => {
    const { input, read } = start();
    const controller = new AbortController();
    const aborted = read(controller.signal);
    const next = read();
    controller.abort();
    await expect(aborted).rejects.toThrow("aborted");
    input.write("line\n");
    expect(await next).toBe("line");
    await expect(read(AbortSignal.abort())).rejects.toThrow("aborted");
  });

  test("nobody waiting: the input is paused, not gathered without bound", async () => {
    const { input, read } = start();
    const first = read();
    input.write("first\n");
    expect(await first).toBe("first");
    expect(input.isPaused()).toBe(true);
    for (let round = 0; round < 100; round++) input.write(`${"y".repeat(1000)}\n`);
    expect(input.writableLength + input.readableLength).toBeGreaterThanOrEqual(100 * 1001);
    expect(await read()).toBe("y".repeat(1000));
  });

  test("a line without an end is cut", async () => {
    const { input, read } = start();
    const line = read();
    input.write("z".repeat(200_000));
    expect((await line)?.length).toBe(65_536);
  });
});
