/** The annotated dump of a header: every field beside the bytes it came from. */

import type { Field } from "./field.ts";
import { Bits16Field, Bits32Field, Bits8Field, FlagField } from "./bit-field.ts";
import { hexDump, offsetText, toHex } from "./hex.ts";

/** Bytes on one line of a field. */
const lineBytes = 8;

/** See `Layout.dump`. */
export function dumpFields(
  name: string,
  size: number,
  fields: readonly Field[],
  bytes: Uint8Array,
  offset: number,
  length: number,
): string {
  const there = Math.max(0, Math.min(length, bytes.length - offset));
  const short = there < size ? `, truncated to ${String(there)}` : "";
  const lines = [`${name}: ${String(size)} bytes${short}`];
  let shown = 0;
  for (const field of fields) {
    const count = Math.min(field.size, there - field.offset);
    if (count < field.size) {
      // What is left of a header that ends early; the fields behind it have nothing to show.
      if (count > 0) lines.push(line(bytes, offset, field.offset, count, `${field.name} (cut off)`));
      break;
    }
    const text = `${pattern(field, bytes, offset)}${field.name} = ${field.format(field.get(bytes, offset))}`;
    // Fields of bits share bytes: they are shown once.
    const fresh = Math.max(shown, field.offset);
    lines.push(line(bytes, offset, fresh, field.offset + field.size - fresh, text));
    shown = field.offset + field.size;
  }
  if (there > size) lines.push("", hexDump(bytes, offset + size, there - size));
  return lines.join("\n");
}

function line(bytes: Uint8Array, base: number, at: number, count: number, text: string): string {
  const first = toHex(bytes, base + at, Math.min(count, lineBytes), " ").padEnd(lineBytes * 3 - 1);
  let result = `${count > 0 ? offsetText(at) : "    "}  ${first}  ${text}`;
  for (let more = lineBytes; more < count; more += lineBytes) {
    result += `\n${offsetText(at + more)}  ${toHex(bytes, base + at + more, Math.min(lineBytes, count - more), " ")}`;
  }
  return result;
}

/** Where the bits of a field lie in its bytes: `0100 .... `. Empty for fields of whole bytes. */
function pattern(field: Field, bytes: Uint8Array, base: number): string {
  let mask: number;
  if (field instanceof FlagField) mask = field.mask;
  else if (field instanceof Bits8Field || field instanceof Bits16Field || field instanceof Bits32Field) {
    mask = field.most * 2 ** field.shift;
  } else return "";
  let text = "";
  for (let bit = field.size * 8 - 1; bit >= 0; bit--) {
    const byte = bytes[base + field.offset + field.size - 1 - (bit >>> 3)] ?? 0;
    text += Math.floor(mask / 2 ** bit) % 2 === 1 ? String((byte >>> (bit & 7)) & 1) : ".";
    if (bit % 4 === 0) text += " ";
  }
  return text;
}
