import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { flowHash, markCongestion } from "./packet.ts";

const ipv4 = [
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0x45, 2, 0, 20, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
];

/** Whatever a host sends, a link looks into it without reading or writing beyond its end. */
export const fuzz: FuzzTarget = {
  name: "sim-packet",
  seeds: [
    Uint8Array.from(ipv4),
    Uint8Array.from([...ipv4.slice(0, 12), 0x86, 0xdd, 0x60, 0x20, ...new Array<number>(60).fill(1)]),
  ],
  run(input) {
    const padded = new Uint8Array(input.length + 200).fill(0xa5);
    padded.set(input, 100);
    const hash = flowHash(padded, 100, input.length, 1);
    if (!(Number.isInteger(hash) && hash >= 0 && hash < 2 ** 32)) throw new Error(`the hash is ${String(hash)}`);
    const marked = markCongestion(padded, 100, input.length);
    for (let at = 0; at < padded.length; at++) {
      const inside = at >= 100 && at < 100 + input.length;
      const changed = padded[at] !== (inside ? input[at - 100] : 0xa5);
      if (changed && (!inside || !marked)) throw new Error(`byte ${at - 100} of ${input.length} was changed`);
    }
  },
};
