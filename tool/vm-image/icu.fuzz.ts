import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { FormatError } from "./image-failure.ts";
import { trimIcu } from "./icu.ts";

/** A table with `res_index.res` (an empty list of locales) and `root.res`, in a program of a few bytes. */
function seed(): Uint8Array {
  const bundle = Buffer.alloc(96);
  bundle.writeUInt16LE(32, 0);
  bundle.write("ResB", 12);
  bundle.writeUInt32LE(((2 << 28) | 13) >>> 0, 32);
  bundle.writeUInt32LE(13, 40);
  bundle.writeUInt32LE(16, 48);
  bundle.write("InstalledLocales\0", 64, "latin1");
  bundle.writeUInt16LE(1, 84);
  bundle.writeUInt16LE(32, 86);
  bundle.writeUInt32LE(((2 << 28) | 15) >>> 0, 88);
  const head = Buffer.alloc(32);
  head.writeUInt16LE(32, 0);
  head.write("\xda\x27", 2, "latin1");
  head.write("CmnD", 12);
  const table = Buffer.alloc(64);
  table.writeUInt32LE(2, 0);
  for (const [index, value] of [20, 64, 36, 160].entries()) table.writeUInt32LE(value, 4 + index * 4);
  table.write("i/res_index.res\0i/root.res\0", 20, "latin1");
  return Buffer.concat([head, table, bundle, bundle]);
}

/** Whatever the table says, the program keeps its size and nothing before the table changes. */
export const fuzz: FuzzTarget = {
  name: "icu-table",
  seeds: [seed()],
  run(input) {
    const before = Buffer.from(input);
    const first = before.indexOf("CmnD");
    try {
      trimIcu(input, ["de"]);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
    }
    const untouched = first < 0 ? before.length : first;
    if (!before.subarray(0, untouched).equals(Buffer.from(input.subarray(0, untouched)))) {
      throw new Error("bytes before the table were changed");
    }
  },
};
