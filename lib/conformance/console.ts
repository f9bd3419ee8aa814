import type { Timers } from "@tesserae/device/clock";
import type { Console } from "@tesserae/device/console";
import { ensure, ensureEqual } from "./assert.ts";
import { pause, settles, settleTime, until, within } from "./pause.ts";
import { defineCase, Skipped, type Suite } from "./suite.ts";

export interface ConsoleSubject {
  readonly console: Console;
  readonly timers: Timers;
  /** All that was written so far, line ends included. */
  readonly output: () => string;
  /** Types text, line ends included. Absent on targets without input. */
  readonly type?: (text: string) => void;
  /** Ends the input. */
  readonly endInput?: () => void;
}

/** The contract of `Console`. */
export const consoleSuite: Suite<ConsoleSubject> = [
  defineCase("lines come out whole and in order", async ({ console, output, timers }) => {
    for (const line of ["one", "", "drei ☃", "x".repeat(5000)]) console.writeLine(line);
    const expected = `one\n\ndrei ☃\n${"x".repeat(5000)}\n`;
    await until(timers, () => output().length >= expected.length, "the lines");
    ensureEqual(output(), expected, "output");
  }),

  defineCase("under pressure only whole lines are dropped", async ({ console, output, timers }) => {
    for (let index = 0; index < 20_000; index++) console.writeLine(`line ${String(index)} ${"y".repeat(80)}`);
    await pause(timers, settleTime);
    const lines = output().split("\n");
    ensureEqual(lines.pop(), "", "the end of the last line");
    for (const line of lines) ensure(/^line \d+ y{80}$/.test(line), `a part of a line: ${line.slice(0, 100)}`);
  }),

  defineCase("readLine gives the lines without their ends, in order", async ({ console, type, timers }) => {
    if (type === undefined) throw new Skipped("the target has no input");
    const first = console.readLine();
    ensure(!(await settles(timers, first, settleTime)), "a line was read before any was typed");
    type("one\ntwo\r\n\nfo");
    type("ur\n");
    ensureEqual(await within(timers, first, "a line"), "one", "the first line");
    for (const line of ["two", "", "four"]) {
      ensureEqual(await within(timers, console.readLine(), "a line"), line, "the next line");
    }
  }),

  defineCase("readLine gives undefined at the end of input, ever after", async (subject) => {
    const { console, type, endInput, timers } = subject;
    if (type !== undefined) {
      if (endInput === undefined) throw new Skipped("the input has no end");
      type("last");
      endInput();
      ensureEqual(await within(timers, console.readLine(), "a line"), "last", "the last line, without an end");
    }
    for (let round = 0; round < 2; round++) {
      ensureEqual(await within(timers, console.readLine(), "the end"), undefined, "after the end");
    }
  }),

  defineCase("an aborted readLine rejects, and takes no line", async ({ console, type, timers }) => {
    if (type === undefined) throw new Skipped("the target has no input");
    const controller = new AbortController();
    const aborted = console.readLine({ signal: controller.signal }).then(
      () => "resolved",
      () => "rejected",
    );
    await pause(timers, settleTime);
    controller.abort();
    ensureEqual(await within(timers, aborted, "the abort"), "rejected", "readLine");
    type("kept\n");
    ensureEqual(await within(timers, console.readLine(), "a line"), "kept", "the next line");
  }),
];
