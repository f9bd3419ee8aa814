import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import type { KeyPlan } from "@tesserae/image/key";
import { parseCommandLine, quoteWord, splitWords } from "./command-line.ts";

const keys: readonly KeyPlan[] = [
  { name: "port", type: { kind: "port" }, default: "8080", doc: "port" },
  { name: "verbose", type: { kind: "boolean" }, default: "false", doc: "say more" },
];

/** The input is a boot command line. Its words are found again once quoted, and only declared names come out. */
export const fuzz: FuzzTarget = {
  name: "vm/command-line",
  seeds: ["port=1", "no-verbose quiet", '"port=2" help', 'port="3', "console=ttyS0 prot=1", 'a="\\"b\\\\"'].map(
    (text) => new TextEncoder().encode(text),
  ),
  run(input) {
    const text = new TextDecoder().decode(input);
    const words = splitWords(text);
    const again = splitWords(words.map(quoteWord).join(" "));
    if (JSON.stringify(again) !== JSON.stringify(words)) throw new Error("quoting lost a word");
    const parsed = parseCommandLine(text, keys, [{ name: "trace", doc: "" }]);
    if (!parsed.ok) {
      if (parsed.message === "") throw new Error("a refusal without words");
      return;
    }
    for (const name of Object.keys(parsed.keys)) {
      if (!keys.some((key) => key.name === name)) throw new Error(`"${name}" is no key`);
    }
    if (parsed.rest.length > 0) throw new Error("something is left over");
  },
};
