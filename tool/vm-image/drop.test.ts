import { expect, test } from "vitest";
import { dropUnused } from "./drop.ts";

const script = (module: string): string => `const bytes = Buffer.from("${module}", "base64");`;
const large = `AGFzbQ${"EAAA".repeat(300_000)}`;

test("a large WebAssembly module in base64 becomes zeros, and nothing else changes", () => {
  const before = Buffer.from(`${"\0".repeat(777)}${script(large)}${script(large.slice(0, 5000))}`);
  const program = Buffer.from(before);
  expect(dropUnused(program)).toEqual([{ part: "TypeScript compiler", bytes: large.length }]);
  expect(program.toString("latin1")).toBe(before.toString("latin1").replace(large, "\0".repeat(large.length)));
});

test("other long runs of letters stay", () => {
  const program = Buffer.from(`"${"A".repeat(2_000_000)}"`);
  expect(dropUnused(program)).toEqual([]);
  expect(program.includes(0)).toBe(false);
});
