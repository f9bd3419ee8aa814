import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { withoutInterrupts, type ConsoleSource } from "./console-input.ts";

/** A console's input that counts who holds the event loop. */
class Source extends PassThrough implements ConsoleSource {
  held = true;

  ref(): void {
    this.held = true;
  }

  unref(): void {
    this.held = false;
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

test("every Ctrl-C is a call, read or not, and nothing else is missing", async () => {
  const source = new Source();
  let calls = 0;
  const input = withoutInterrupts(source, () => calls++);
  source.write("on\x03e\n\x03\x03");
  source.write("two");
  await turn();
  expect(calls).toBe(3);
  let text = "";
  input.setEncoding("utf8").on("data", (piece: string) => (text += piece));
  source.end("\x03\n");
  await new Promise((resolve) => input.once("end", resolve));
  expect([text, calls]).toEqual(["one\ntwo\n", 4]);
});

test("holds the event loop while it is read", async () => {
  const source = new Source();
  const input = withoutInterrupts(source, () => undefined);
  expect(source.held).toBe(false);
  input.on("data", () => undefined);
  await turn();
  expect(source.held).toBe(true);
  input.pause();
  expect(source.held).toBe(false);
});

test("what nobody reads is bounded, and Ctrl-C still comes through", async () => {
  const source = new Source();
  let calls = 0;
  const input = withoutInterrupts(source, () => calls++);
  for (let count = 0; count < 100; count++) source.write("x".repeat(10_000));
  source.write("\x03");
  while (calls === 0) await turn();
  expect(input.readableLength).toBeLessThan(100_000);
});
