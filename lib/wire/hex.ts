/** Bytes as hexadecimal text, and back. */

const digits = Array.from({ length: 256 }, (_, value) => value.toString(16).padStart(2, "0"));

/** `bytes[offset … offset + length)` as hex digits with nothing, or `separator`, between bytes. */
export function toHex(bytes: Uint8Array, offset = 0, length: number = bytes.length - offset, separator = ""): string {
  let text = "";
  for (let index = 0; index < length; index++) {
    if (index > 0) text += separator;
    text += digits[bytes[offset + index] ?? 0] ?? "";
  }
  return text;
}

/**
 * The bytes of a text of hex digits. White space, `:`, `-` and `,` between bytes are skipped.
 *
 * @throws RangeError naming the place of what is not a pair of hex digits.
 */
export function fromHex(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length >>> 1);
  let count = 0;
  for (let at = 0; at < text.length;) {
    if (/[\s:,-]/.test(text.charAt(at))) {
      at++;
      continue;
    }
    const pair = text.slice(at, at + 2);
    if (!/^[0-9a-f]{2}$/i.test(pair)) throw new RangeError(`"${pair}" at ${String(at)} is not a pair of hex digits`);
    bytes[count++] = Number.parseInt(pair, 16);
    at += 2;
  }
  return bytes.slice(0, count);
}

/**
 * The canonical dump: offset, sixteen bytes in hex, the same in ASCII, one line each, no line end at the end.
 *
 * Offsets count from `offset`. No bytes is the empty text.
 */
export function hexDump(bytes: Uint8Array, offset = 0, length: number = bytes.length - offset): string {
  const lines: string[] = [];
  for (let start = 0; start < length; start += 16) {
    const count = Math.min(16, length - start);
    const left = toHex(bytes, offset + start, Math.min(8, count), " ");
    const right = toHex(bytes, offset + start + 8, Math.max(0, count - 8), " ");
    const hex = `${left.padEnd(23)}  ${right.padEnd(23)}`;
    lines.push(`${offsetText(start)}  ${hex}  |${ascii(bytes, offset + start, count)}|`);
  }
  return lines.join("\n");
}

/** An offset as in the left column of a dump. */
export function offsetText(offset: number): string {
  return offset.toString(16).padStart(4, "0");
}

function ascii(bytes: Uint8Array, offset: number, count: number): string {
  let text = "";
  for (let index = 0; index < count; index++) {
    const code = bytes[offset + index] ?? 0;
    text += code >= 0x20 && code < 0x7f ? String.fromCharCode(code) : ".";
  }
  return text;
}
