/** Byte ranges (RFC 9110 §14). */

/** `start` to `end`, `end` excluded; never empty. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

export type RangeOutcome =
  /** No ranges, not understood, or more than a server should do: the whole representation is the answer. */
  | { readonly kind: "whole" }
  /** None of the ranges lies in the representation: 416. */
  | { readonly kind: "unsatisfiable" }
  /** In the order asked for: 206. */
  | { readonly kind: "ranges"; readonly ranges: readonly ByteRange[] };

/** Ranges in one request; more are a burden or an attack (RFC 9110 §14.2). */
const maxRanges = 16;

const whole: RangeOutcome = { kind: "whole" };

/**
 * What a Range field asks of a representation of `size` octets. Ranges that together are larger than the
 * representation are answered with all of it.
 */
export function parseRange(value: string, size: number): RangeOutcome {
  const equals = value.indexOf("=");
  if (equals < 0 || value.slice(0, equals).trim().toLowerCase() !== "bytes") return whole;
  if (value.length > 1024) return whole;
  const ranges: ByteRange[] = [];
  let specs = 0;
  let total = 0;
  for (const part of value.slice(equals + 1).split(",")) {
    const spec = part.trim();
    // RFC 9110 §5.6.1.2: empty list elements are ignored.
    if (spec === "") continue;
    if (++specs > maxRanges) return whole;
    const range = parseSpec(spec, size);
    if (range === "malformed") return whole;
    if (range === undefined) continue;
    ranges.push(range);
    total += range.end - range.start;
  }
  if (specs === 0) return whole;
  if (ranges.length === 0) return { kind: "unsatisfiable" };
  if (ranges.length > 1 && total > size) return whole;
  return { kind: "ranges", ranges };
}

function parseSpec(spec: string, size: number): ByteRange | "malformed" | undefined {
  const dash = spec.indexOf("-");
  if (dash < 0) return "malformed";
  const first = position(spec.slice(0, dash));
  const last = position(spec.slice(dash + 1));
  if (first === undefined || last === undefined) return "malformed";
  if (first < 0) {
    // The last octets.
    if (last < 0) return "malformed";
    return last === 0 || size === 0 ? undefined : { start: Math.max(0, size - last), end: size };
  }
  if (last >= 0 && last < first) return "malformed";
  if (first >= size) return undefined;
  return { start: first, end: last < 0 ? size : Math.min(last + 1, size) };
}

/** −1 when empty, `undefined` when not a number; beyond exact integers all are alike, past any size. */
function position(text: string): number | undefined {
  if (text === "") return -1;
  return /^\d{1,32}$/.test(text) ? Math.min(Number(text), Number.MAX_SAFE_INTEGER - 1) : undefined;
}

/** The Content-Range value of one part. */
export function contentRange(range: ByteRange, size: number): string {
  return `bytes ${range.start}-${range.end - 1}/${size}`;
}
