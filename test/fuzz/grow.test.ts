import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { instrument } from "../../scripts/block-counters.mjs";
import { appendCorpus, readCorpus, writeCorpus } from "./corpus.ts";
import { grow, minimise } from "./grow.ts";

/** Reaches more the more of its letters come in order; what it reached is what `take` gives. */
function ladder() {
  const word = [7, 130, 9, 200];
  let reached = new Set<number>();
  const target = {
    name: "ladder",
    seeds: [Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)],
    run(input: Uint8Array) {
      let step = 0;
      for (const byte of input) if (byte === word[step]) reached.add(++step);
      if (step === word.length && input.join().endsWith("66,67,68")) throw new Error("the whole word");
    },
  };
  const take = (): Set<number> => {
    const now = reached;
    reached = new Set();
    return now;
  };
  return { target, coverage: { take } };
}

test("inputs that reach something new are kept, and lead further than chance", async () => {
  const { target, coverage } = ladder();
  let asked = 0;
  const found: Uint8Array[] = [];
  const { kept, failure } = await grow(target, [], {
    seed: 3,
    coverage,
    expired: () => ++asked > 60_000,
    found: (input) => found.push(input),
  });
  expect(failure).toBeUndefined();
  expect(Math.max(...kept.flatMap(({ features }) => [...features]))).toBeGreaterThanOrEqual(3);
  expect(kept.length).toBeLessThanOrEqual(5);
  // The first is the target's seed, which need not be told.
  expect(found).toEqual(kept.slice(1).map(({ input }) => input));
});

test("minimising keeps everything that was reached, in fewer and shorter inputs", async () => {
  const { target, coverage } = ladder();
  const inputs = [Uint8Array.of(7), new Uint8Array(64).fill(7), Uint8Array.of(0, 0, 0, 0, 7, 0, 0, 0, 0, 130, 9, 1)];
  const options = { seed: 1, coverage, expired: () => false };
  const kept = [];
  for (const input of inputs) {
    target.run(input);
    kept.push({ input, features: coverage.take() });
  }
  const minimal = await minimise(target, kept, options);
  for (const input of minimal) target.run(input);
  expect([...coverage.take()].sort()).toEqual([1, 2, 3]);
  expect(minimal.reduce((total, { length }) => total + length, 0)).toBeLessThan(12);
});

test("an input that breaks the target ends the search", async () => {
  const { target, coverage } = ladder();
  const { failure } = await grow(target, [Uint8Array.of(7, 130, 9, 200, 66, 67, 68)], {
    seed: 1,
    coverage,
    expired: () => false,
  });
  expect(failure?.error).toEqual(new Error("the whole word"));
  expect(failure?.input).toEqual(Uint8Array.of(7, 130, 9, 200, 66, 67, 68));
});

test("a corpus is read as it was written, in order of length", () => {
  const folder = mkdtempSync(path.join(tmpdir(), "corpus-"));
  try {
    writeCorpus("some/target", [Uint8Array.of(3, 2, 1), new Uint8Array(0), Uint8Array.of(255)], "a note", folder);
    expect(readCorpus("some/target", folder)).toEqual([Uint8Array.of(255), Uint8Array.of(3, 2, 1)]);
    expect(readCorpus("another", folder)).toEqual([]);
    appendCorpus("some/target", Uint8Array.of(8, 9), folder);
    appendCorpus("another", Uint8Array.of(1), folder);
    expect(readCorpus("some/target", folder)).toEqual([
      Uint8Array.of(255),
      Uint8Array.of(8, 9),
      Uint8Array.of(3, 2, 1),
    ]);
    expect(readCorpus("another", folder)).toEqual([Uint8Array.of(1)]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("instrumented code does the same, and counts what ran", () => {
  const source = `
    function grade(n) {
      if (n < 0) return "negative"; else if (n === 0) { return "zero"; }
      let word = "";
      for (let i = 0; i < n; i++) word += n > 2 ? "x" : "y";
      switch (n) {
        case 1: return word + "!";
        default: return [1].map((each) => each + n)[0] && (word || "never");
      }
    }`;
  const { contents, used } = instrument("a.ts", source, 5);
  const make = (text: string) =>
    // What runs here is the text above.
    // eslint-disable-next-line @typescript-eslint/no-implied-eval, no-new-func
    new Function("tesseraeBlockCounts", `${text}; return grade;`) as (counts: Uint32Array) => (n: number) => string;
  const counts = new Uint32Array(5 + used);
  const counted = make(contents)(counts);
  const plain = make(source)(counts);
  for (const n of [-1, 0, 1, 2, 5]) expect(counted(n)).toBe(plain(n));
  expect([...counts.subarray(0, 5)]).toEqual([0, 0, 0, 0, 0]);
  // The body of the function, for each call, and the operand that no call needs.
  expect(counts[5]).toBe(5);
  expect([...counts.subarray(5)].filter((count) => count === 0)).toHaveLength(1);
});
