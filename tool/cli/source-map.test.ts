import { SourceMap, type SourceMapPayload } from "node:module";
import { build } from "esbuild";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { moveColumns, type Move } from "./source-map.ts";
import { constantCandidates, constantPlaces, movedColumns, withConstants } from "./top-level-constants.ts";

/** What the map says of the place of `words` in `code`, from 0: `source:line:column`. */
function originOf(words: string, code: string, map: SourceMapPayload): string {
  const at = code.indexOf(words);
  expect(at, words).toBeGreaterThanOrEqual(0);
  const before = code.slice(0, at).split("\n");
  const entry = new SourceMap(map).findEntry(before.length - 1, before.at(-1)!.length);
  return "originalSource" in entry
    ? `${entry.originalSource}:${String(entry.originalLine)}:${String(entry.originalColumn)}`
    : "";
}

test("what follows a restored constant keeps its place in the source", async () => {
  const source = "const first = make(1), second = make(2);\nlet third = 3;\nthird = make(first + second + third);\n";
  const contents = `${source}function make(n: number): number {\n  return n;\n}\n`;
  const stdin = { contents, sourcefile: "main.ts", loader: "ts" as const };
  const made = await build({ stdin, bundle: true, write: false, format: "esm", sourcemap: "external", outdir: "/" });
  const text = (end: string): string => made.outputFiles.find((each) => each.path.endsWith(end))!.text;
  const printed = text(".js");
  const places = constantPlaces(constantCandidates(printed), () => true);
  const code = withConstants(printed, places);
  expect(code).toContain("const first");
  // as: esbuild writes version 3 source maps
  const map = JSON.parse(text(".map")) as SourceMapPayload;
  const words = ["make(1)", "second = ", "make(2)", "third = 3", "make(first", "return n"];
  const before = words.map((each) => originOf(each, printed, map));
  const mappings = moveColumns(map.mappings, movedColumns(printed, places));
  expect(words.map((each) => originOf(each, code, { ...map, mappings }))).toEqual(before);
  expect(before[0]).toBe("main.ts:0:14");
});

test("whatever moves, every mapping leads where it led", () => {
  const distances = fc.array(fc.array(fc.integer({ min: 1, max: 3000 }), { maxLength: 6 }), { maxLength: 5 });
  const moved = fc.array(fc.record({ line: fc.nat(5), column: fc.nat(4000), by: fc.integer({ min: 1, max: 99 }) }));
  fc.assert(
    fc.property(distances, moved, (lines, list) => {
      // Each segment is one column of the generated text further, and one column of the source: "C" is +1.
      const mappings = lines
        .map((line) =>
          line
            .map((distance) => `${vlq(distance)},`)
            .join("")
            .slice(0, -1),
        )
        .join(";");
      const moves = new Map<number, readonly Move[]>();
      for (const { line, ...move } of list) {
        moves.set(
          line,
          [...(moves.get(line) ?? []), move].sort((a, b) => a.column - b.column),
        );
      }
      const columns = moveColumns(mappings, moves).split(";").map(columnsOf);
      const expected = mappings.split(";").map((text, line) =>
        columnsOf(text).map((column) => {
          const before = (moves.get(line) ?? []).filter((move) => move.column < column);
          return column + before.reduce((sum, move) => sum + move.by, 0);
        }),
      );
      expect(columns).toEqual(expected);
    }),
  );
});

const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** A non-negative distance, with three fields after it. */
function vlq(distance: number): string {
  let rest = distance * 2;
  let text = "";
  for (; rest >= 32; rest = Math.floor(rest / 32)) text += digits.charAt((rest % 32) + 32);
  return `${text}${digits.charAt(rest)}AAC`;
}

function columnsOf(line: string): readonly number[] {
  if (line === "") return [];
  let column = 0;
  return line.split(",").map((segment) => {
    expect(segment.endsWith("AAC")).toBe(true);
    const bits = Array.from(segment.slice(0, -3), (each) => digits.indexOf(each) % 32);
    column += bits.reduce((sum, bit, index) => sum + bit * 32 ** index, 0) / 2;
    return column;
  });
}
