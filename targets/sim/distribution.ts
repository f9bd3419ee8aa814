import type { SeededRandom } from "./random.ts";

/** How durations are spread, in milliseconds. Values below 0 count as 0. */
export type Distribution =
  | { readonly kind: "uniform"; readonly from: number; readonly to: number }
  | { readonly kind: "normal"; readonly mean: number; readonly deviation: number }
  | { readonly kind: "exponential"; readonly mean: number }
  /** A heavy tail: P(X > x) = (minimum / x)^shape. The mean is infinite with a shape of 1 or below. */
  | { readonly kind: "pareto"; readonly minimum: number; readonly shape: number };

/** The longest duration drawn: a day. */
const longest = 86_400_000;

/** @throws RangeError naming the field that is out of range. */
export function checkDistribution(name: string, distribution: Distribution): void {
  const check = (field: string, value: number, least: number): void => {
    if (value >= least && value <= longest) return;
    throw new RangeError(`${name}.${field} ${String(value)} is not from ${String(least)} to ${String(longest)}`);
  };
  switch (distribution.kind) {
    case "uniform":
      check("from", distribution.from, 0);
      check("to", distribution.to, distribution.from);
      break;
    case "normal":
      check("mean", distribution.mean, 0);
      check("deviation", distribution.deviation, 0);
      break;
    case "exponential":
      check("mean", distribution.mean, 0);
      break;
    case "pareto":
      check("minimum", distribution.minimum, 0);
      check("shape", distribution.shape, 0.1);
      break;
    default:
      throw new RangeError(`${name} is no distribution: ${JSON.stringify(distribution)}`);
  }
}

/** Draws from it. The same stream gives the same values on every machine. */
export function draw(distribution: Distribution, random: SeededRandom): number {
  switch (distribution.kind) {
    case "uniform":
      return distribution.from + random.unit() * (distribution.to - distribution.from);
    case "normal":
      return clamp(distribution.mean + distribution.deviation * standardNormal(random));
    case "exponential":
      return clamp(-distribution.mean * exactLog(1 - random.unit()));
    case "pareto":
      return clamp(distribution.minimum * exactExp(-exactLog(1 - random.unit()) / distribution.shape));
  }
}

function clamp(value: number): number {
  return value > longest ? longest : value > 0 ? value : 0;
}

/** Marsaglia's polar method. Draws anew for each value, so that nothing is left over between two of them. */
function standardNormal(random: SeededRandom): number {
  for (;;) {
    const x = random.unit() * 2 - 1;
    const y = random.unit() * 2 - 1;
    const square = x * x + y * y;
    if (square > 0 && square < 1) return x * Math.sqrt((-2 * exactLog(square)) / square);
  }
}

/**
 * The natural logarithm of a number from 2⁻⁶⁴ to 2⁶⁴, to 14 digits.
 *
 * Made of additions, multiplications and divisions, which IEEE 754 defines to the bit. `Math.log` may differ from one
 * engine to the next, and a run with it.
 */
export function exactLog(value: number): number {
  let scaled = value;
  let exponent = 0;
  for (; scaled > 1.5; exponent++) scaled /= 2;
  for (; scaled < 0.75; exponent--) scaled *= 2;
  // ln s = 2 artanh ((s − 1) / (s + 1))
  const ratio = (scaled - 1) / (scaled + 1);
  const square = ratio * ratio;
  let sum = 0;
  for (let power = 25; power >= 1; power -= 2) sum = sum * square + 1 / power;
  return 2 * ratio * sum + exponent * Math.LN2;
}

/** e to the power of `value`, which is from 0 to 700, to 13 digits. As {@link exactLog}. */
export function exactExp(value: number): number {
  const exponent = Math.floor(value / Math.LN2);
  const rest = value - exponent * Math.LN2;
  let sum = 1;
  for (let term = 20; term >= 1; term--) sum = 1 + (sum * rest) / term;
  for (let index = 0; index < exponent; index++) sum *= 2;
  return sum;
}
