import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { createLog } from "./log.ts";

/** Whatever peers send, in a message, a key, a value or a source: one plain line within its bound. */
export const fuzz: FuzzTarget = {
  name: "log-line",
  seeds: ["", "plain", 'a "quoted" \\ value', "a\nb\u001b[2J\u202e", "key=value", "\ud83d\ude00"].map((text) =>
    new TextEncoder().encode(text),
  ),
  run(input) {
    // As UTF-16, too: that has lone surrogates, which UTF-8 cannot have.
    const units = new Uint16Array(input.length);
    for (let index = 0; index < input.length; index++) units[index] = (input[index]! << 8) | (input[index + 1] ?? 0);
    for (const text of [new TextDecoder().decode(input), String.fromCharCode(...units.subarray(0, 5000))]) {
      const lines: string[] = [];
      const log = createLog({
        console: { writeLine: (line) => lines.push(line) },
        timers: { wall: () => 0 },
        longestLine: 200,
      });
      log.child(text, { [text]: text }).warn(text, { value: text });
      const line = lines[0];
      if (lines.length !== 1 || line === undefined || line.length > 200) throw new Error(`not a line: ${String(line)}`);
      // eslint-disable-next-line no-control-regex -- control characters are what is looked for
      if (/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069\ufeff]/.test(line))
        throw new Error(`not plain: ${line}`);
    }
  },
};
