import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { frameText, tcpFacts } from "./frame-text.ts";

const syn = Uint8Array.from(
  Buffer.from(
    "020000000002020000000001080045000030004d00004006" +
      "66750a0000010a00000200509c4000000001000000007002" +
      "03e800000000020405b40103030700000000",
    "hex",
  ),
);
const arp = Uint8Array.from(
  Buffer.from("ffffffffffff0200000000010806000108000604000102000000000" + "10a0000010000000000000a000002", "hex"),
);

export const fuzz: FuzzTarget = {
  name: "sim-frame-text",
  seeds: [syn, arp],
  run(input) {
    const text = frameText(input, 0, input.length);
    if (text.includes("\n") || text.length > 500) throw new Error(`a line of a trace: ${JSON.stringify(text)}`);
    tcpFacts(input, 0, input.length);
  },
};
