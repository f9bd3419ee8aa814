import { PassThrough } from "node:stream";
import { consoleSuite } from "@tesserae/conformance/console";
import { createTimers } from "@tesserae/node/timers";
import { describe, expect, test } from "vitest";
import { createSerialConsole } from "./console.ts";

function setup(most = Infinity) {
  const decoder = new TextDecoder();
  const writes: number[] = [];
  let output = "";
  const write = (bytes: Uint8Array): number => {
    const part = bytes.subarray(0, most);
    writes.push(part.length);
    output += decoder.decode(part, { stream: true });
    return part.length;
  };
  const input = new PassThrough();
  return { console: createSerialConsole({ write, input }), input, writes, output: () => output };
}

describe("conformance of the serial console", () => {
  for (const each of consoleSuite) {
    test(each.name, async () => {
      const { console, input, output } = setup();
      const timers = createTimers();
      const type = (text: string) => void input.write(text);
      await each.run({ console, timers, output, type, endInput: () => void input.end() });
      timers.close();
    });
  }
});

describe("createSerialConsole", () => {
  test("a few lines come out at once", () => {
    const { console, output } = setup();
    console.writeLine("one");
    console.writeLine("two");
    expect(output()).toBe("one\ntwo\n");
  });

  test("a flood leaves time for others: 4 KiB a turn", async () => {
    const { console, output } = setup();
    for (let index = 0; index < 200; index++) console.writeLine("z".repeat(99));
    expect(output().length).toBe(4100);
    for (let turns = 1; output().length < 20_000; turns++) {
      const before = output().length;
      await new Promise((resolve) => setImmediate(resolve));
      expect(output().length - before).toBeLessThanOrEqual(2 * 4096);
      expect(turns).toBeLessThan(20);
    }
    expect(output()).toBe(`${"z".repeat(99)}\n`.repeat(200));
  });

  test("a port that takes little at a time gets everything", async () => {
    const { console, output } = setup(7);
    console.writeLine("y".repeat(10_000));
    while (output().length < 10_001) await new Promise((resolve) => setImmediate(resolve));
    expect(output()).toBe(`${"y".repeat(10_000)}\n`);
  });

  test("what waits comes out when the program exits", () => {
    const { console, output } = setup();
    const before = process.listeners("exit");
    const own = setup();
    for (let index = 0; index < 200; index++) own.console.writeLine("x".repeat(99));
    const flush = process.listeners("exit").find((each) => !before.includes(each))!;
    flush(0);
    expect(process.listeners("exit")).toEqual(before);
    expect(own.output()).toBe(`${"x".repeat(99)}\n`.repeat(200));
    console.writeLine("other");
    expect(output()).toBe("other\n");
  });

  test("a port that fails drops what is written, and throws nothing", () => {
    const console = createSerialConsole({
      write: () => {
        throw new Error("gone");
      },
    });
    console.writeLine("lost");
    console.writeLine("lost, too");
  });
});
