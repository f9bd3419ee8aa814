import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { Segment } from "./segment.ts";
import { emitOptions, header, parseSegment, printSegment } from "./wire.ts";

function seed(options: Parameters<typeof emitOptions>[0], payload: number): Uint8Array {
  const tail = emitOptions(options);
  const bytes = new Uint8Array(header.size + tail.length + payload);
  bytes[12] = (header.size + tail.length) << 2;
  bytes[13] = 0x12;
  bytes.set(tail, header.size);
  return bytes;
}

/** The two readers of a segment agree, and neither reads outside of it. */
export const fuzz: FuzzTarget = {
  name: "tcp-segment",
  seeds: [
    seed({}, 0),
    seed({ mss: 1460, windowShift: 7, sackPermitted: true, timestamp: { value: 1, echo: 2 } }, 0),
    seed({ timestamp: { value: 1, echo: 2 } }, 10),
    seed(
      {
        sack: [
          [1, 2],
          [3, 4],
          [5, 6],
        ],
      },
      3,
    ),
  ],
  run(input) {
    const padded = new Uint8Array(input.length + 16).fill(0xa5);
    padded.set(input, 8);
    const segment = new Segment();
    const isSegment = segment.read(padded, 8, input.length);
    const parsed = parseSegment(padded, 8, input.length);
    if (parsed.ok) {
      printSegment(parsed.value);
      if (!isSegment) throw new Error("only the record reader takes it");
      const { options, payload } = parsed.value;
      if (segment.length !== payload.length || segment.offset + segment.length !== 8 + input.length) {
        throw new Error("the readers disagree about the payload");
      }
      const { sackBlocks, sackEdges } = segment.options;
      const edges = (options.sack ?? []).flat();
      if (edges.length !== sackBlocks * 2 || edges.some((edge, index) => edge !== sackEdges[index]! >>> 0)) {
        throw new Error("the readers disagree about the SACK blocks");
      }
      if ((options.mss ?? -1) !== segment.options.mss) throw new Error("the readers disagree about the options");
      if (segment.options.windowShift > 14) throw new Error("a window shift above 14");
    } else if (isSegment && parsed.error.field !== "options") {
      throw new Error(`only the fast reader takes it: ${parsed.error.message}`);
    }
  },
};
