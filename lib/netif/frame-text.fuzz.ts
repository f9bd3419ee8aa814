import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { describeFrame } from "./frame-text.ts";

export const fuzz: FuzzTarget = {
  name: "frame-text",
  seeds: [
    Uint8Array.of(255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1),
    Uint8Array.of(2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 40, 0, 0, 64, 0, 64, 6, 0, 0, 10, 0, 0, 1),
  ],
  run(input) {
    const line = describeFrame(input, 0, input.length);
    if (/[^\x20-\x7e→]/.test(line)) throw new Error(`not one printable line: ${JSON.stringify(line)}`);
  },
};
