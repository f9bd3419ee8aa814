import { describe, expect, test } from "vitest";
import { burstLoss, checkLoss, Loss, type LossModel } from "./loss-model.ts";
import { SeededRandom } from "./random.ts";

/** One character a frame: `x` for those lost. */
function pattern(model: number | LossModel, count: number): string {
  const loss = new Loss(model, new SeededRandom("loss"));
  const bytes = new Uint8Array(60);
  let text = "";
  for (let frame = 0; frame < count; frame++) text += loss.next(bytes, 0, 60) ? "x" : ".";
  return text;
}

function bursts(text: string): number[] {
  return text.split(/\.+/).flatMap((burst) => (burst === "" ? [] : [burst.length]));
}

describe("losses", () => {
  test("uniform: each frame for itself", () => {
    const text = pattern(0.1, 100_000);
    const runs = bursts(text);
    expect(text.replaceAll(".", "").length / 100_000).toBeCloseTo(0.1, 2);
    expect(runs.reduce((sum, run) => sum + run, 0) / runs.length).toBeCloseTo(1 / 0.9, 1);
  });

  test("bursts: Gilbert's share and mean length", () => {
    const text = pattern(burstLoss(0.05, 8), 200_000);
    const runs = bursts(text);
    expect(text.replaceAll(".", "").length / 200_000).toBeCloseTo(0.05, 2);
    expect(runs.reduce((sum, run) => sum + run, 0) / runs.length).toBeCloseTo(8, 0);
  });

  test("bursts: Elliott's probabilities of loss in each state", () => {
    const text = pattern({ kind: "bursts", enter: 0.01, leave: 0.01, bad: 0.5, good: 0.1 }, 500_000);
    expect(text.replaceAll(".", "").length / 500_000).toBeCloseTo(0.3, 1);
    expect(pattern({ kind: "bursts", enter: 0, leave: 1, good: 1 }, 5)).toBe("xxxxx");
  });

  test("every nth, a list, and what a function says", () => {
    expect(pattern({ kind: "every", every: 3 }, 10)).toBe("..x..x..x.");
    expect(pattern({ kind: "every", every: 3, first: 1 }, 10)).toBe("x..x..x..x");
    expect(pattern({ kind: "list", frames: [2, 3, 9] }, 10)).toBe(".xx.....x.");
    expect(pattern({ kind: "when", lost: (_bytes, _offset, length, number) => length === 60 && number > 8 }, 10)).toBe(
      "........xx",
    );
  });

  test.each<[number | LossModel, string]>([
    [1.1, "loss 1.1 is not a probability"],
    [{ kind: "bursts", enter: -1, leave: 0 }, "loss.enter -1"],
    [{ kind: "bursts", enter: 0, leave: 2 }, "loss.leave 2"],
    [{ kind: "every", every: 0 }, "loss.every 0"],
    [{ kind: "list", frames: [0] }, "loss.frames 0"],
  ])("refuses %o", (model, message) => {
    expect(() => checkLoss(model)).toThrow(message);
  });
});
