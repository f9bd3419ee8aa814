import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { soak } from "./soak.ts";

const sound = { name: "sound", seeds: [Uint8Array.of(1)], run: () => undefined };
const broken = {
  name: "broken one",
  seeds: [Uint8Array.of(1, 2, 3)],
  run(input: Uint8Array) {
    if (input.length === 3) throw new Error("three");
  },
};

let told: string[];
let wrong: string[];

beforeEach(() => {
  told = [];
  wrong = [];
  vi.spyOn(console, "log").mockImplementation((...words: unknown[]) => void told.push(words.join(" ")));
  vi.spyOn(console, "error").mockImplementation((...words: unknown[]) => void wrong.push(words.join(" ")));
  vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    wrong.push(String(text));
    return true;
  });
});
afterEach(() => {
  vi.restoreAllMocks();
});

describe("soak", () => {
  test("runs the targets named and tells how many inputs they took", async () => {
    expect(await soak([sound, broken], ["sound", "--minutes", "0.001", "--seed", "5"])).toBe(0);
    expect(told[0]).toBe("1 targets, 0.001 minutes, first seed 5");
    expect(told.at(-1)).toMatch(/^sound: \d+ inputs$/);
  });

  test("a failure ends it with status 1, the input and the command that replays it", async () => {
    expect(await soak([broken], ["--minutes", "0.001"])).toBe(1);
    expect(wrong.join("\n")).toContain('node scripts/soak.mjs "broken one" --input 000000');
  });

  test("replays one input", async () => {
    expect(await soak([sound, broken], ["broken one", "--input", "0102"])).toBe(0);
    expect(await soak([sound, broken], ["broken one", "--input", "010203"])).toBe(1);
    expect(wrong.join("\n")).toContain("three");
  });

  test.each([
    [["nobody"], 'no fuzz target "nobody"; there are: sound, broken one'],
    [["--minutes", "0"], "--minutes 0 is not above 0"],
    [["--seed", "x"], "--seed x is not an integer"],
    [["--input", "00"], "--input needs the name of one target"],
    [["sound", "--input", "0"], "--input is not pairs of hex digits"],
    [["--what"], "--what"],
  ])("refuses %j with status 2 and how to use it", async (args, problem) => {
    expect(await soak([sound, broken], args)).toBe(2);
    expect(wrong.join("\n")).toContain(problem);
    expect(wrong.join("\n")).toContain("usage: node scripts/soak.mjs");
  });
});
