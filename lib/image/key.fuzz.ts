import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { formatKey, parseKey, type KeyType } from "./key.ts";

const types: readonly KeyType[] = [
  { kind: "string" },
  { kind: "integer", min: -100 },
  { kind: "port" },
  { kind: "boolean" },
  { kind: "duration" },
  { kind: "bytes" },
  { kind: "address" },
  { kind: "prefix" },
  { kind: "endpoint" },
  { kind: "interface4" },
  { kind: "interface6" },
  { kind: "choice", choices: ["a", "b"] },
];

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

/** The first byte picks a type, the others are the text. What parses and is formatted parses to the same again. */
export const fuzz: FuzzTarget = {
  name: "image/key",
  seeds: ["\x011", "\x0280", "\x041.5s", "\x0564KiB", "\x06fd00::2", "\x0710.0.0.2/24", "\x08[::1]:80", "\x09dhcp"].map(
    encode,
  ),
  run(input) {
    const type = types[(input[0] ?? 0) % types.length];
    if (type === undefined) return;
    const parsed = parseKey(type, new TextDecoder().decode(input.subarray(1)));
    // The text of a number is milliseconds or bytes without a unit: durations need one.
    if (!parsed.ok || type.kind === "duration") return;
    const text = formatKey(parsed.value);
    const again = parseKey(type, text);
    if (!again.ok || formatKey(again.value) !== text) throw new Error(`"${text}" does not parse to itself`);
  },
};
