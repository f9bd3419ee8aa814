import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { JsonLineParser } from "./json-lines.ts";

/** The input is what somebody who is not QEMU sends, in two pieces. A broken parser gives nothing more. */
export const fuzz: FuzzTarget = {
  name: "qemu/json-lines",
  seeds: ['{"QMP": {}}\n', '{"return": {}, "id": 1}\r\n\n', '{"event": "SHUTDOWN"}\n[', "\xff\n"].map((text) =>
    Uint8Array.from(text, (letter) => letter.charCodeAt(0)),
  ),
  run(input) {
    const parser = new JsonLineParser(256);
    const half = input.length >> 1;
    const first = parser.take(input.subarray(0, half));
    const second = parser.take(input.subarray(half));
    if (first.problem !== undefined && second.values.length > 0) throw new Error("it goes on after a problem");
    if (first.values.length + second.values.length > input.length) throw new Error("more values than bytes");
  },
};
