import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { parseArguments } from "./arguments.ts";
import type { KeyPlan } from "./key.ts";

const keys: readonly KeyPlan[] = [
  { name: "port", type: { kind: "port" }, default: "8080", doc: "port" },
  { name: "verbose", type: { kind: "boolean" }, default: "false", doc: "say more" },
];

/** The input is the arguments, one a line. Only declared names come out. */
export const fuzz: FuzzTarget = {
  name: "image/arguments",
  seeds: ["--port\n1", "--no-verbose", "--port=2\n--help", "--\n--port", "-x"].map((text) =>
    new TextEncoder().encode(text),
  ),
  run(input) {
    const parsed = parseArguments(new TextDecoder().decode(input).split("\n"), keys, [{ name: "trace", doc: "" }]);
    if (!parsed.ok) {
      if (parsed.message === "") throw new Error("a refusal without words");
      return;
    }
    for (const name of Object.keys(parsed.keys)) {
      if (!keys.some((key) => key.name === name)) throw new Error(`"${name}" is no key`);
    }
    for (const name of Object.keys(parsed.flags)) if (name !== "trace") throw new Error(`"${name}" is no flag`);
  },
};
