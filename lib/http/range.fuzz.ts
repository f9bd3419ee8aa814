import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { parseRange } from "./range.ts";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

export const fuzz: FuzzTarget = {
  name: "http range",
  seeds: [encode("bytes=0-1,5-,-2"), encode("bytes=99999999999999999999-"), encode("bytes = 1-1 , ,2-3")],
  run(input) {
    const text = Buffer.from(input).toString("latin1");
    for (const size of [0, 1, 10, 1_000_000]) {
      const outcome = parseRange(text, size);
      if (outcome.kind !== "ranges") continue;
      if (outcome.ranges.length === 0 || outcome.ranges.length > 16) throw new Error("no ranges, or too many");
      for (const { start, end } of outcome.ranges) {
        if (!(start >= 0 && start < end && end <= size)) throw new Error(`${start}-${end} of ${size}`);
      }
    }
  },
};
