import type { IpAddress } from "@tesserae/device/address";

/**
 * Domain names as text: labels with dots between them, `.` for the root, and no dot at the end. Inside a label a dot
 * and a backslash are written `\.` and `\\`, and bytes that are not printable ASCII `\DDD` (RFC 1035 §5.1). Letters
 * keep their case.
 */

const longestName = 255;
const longestLabel = 63;
/** Pointers followed for one name. Each goes backwards; real messages need one or two. */
const mostPointers = 32;

/** A name read from a message, or what is wrong with it. */
export type ReadName =
  | { readonly ok: true; readonly name: string; readonly next: number }
  | { readonly ok: false; readonly at: number; readonly kind: "truncated" | "value"; readonly what: string };

/**
 * Reads the name at `at` of the message `data[start … end)`. Pointers (RFC 1035 §4.1.4) must go backwards.
 *
 * @returns the name, and where what follows it is.
 */
export function readName(data: Uint8Array, at: number, start: number, end: number): ReadName {
  let name = "";
  let next = -1;
  let total = 1;
  let pointers = 0;
  // A pointer must go to before the piece that it ends.
  let pieceStart = at;
  for (;;) {
    if (at >= end) return bad(at, "truncated", "the name ends too early");
    const length = data[at] ?? 0;
    if (length === 0) return { ok: true, name: name === "" ? "." : name, next: next < 0 ? at + 1 : next };
    if (length >= 0xc0) {
      if (at + 1 >= end) return bad(at, "truncated", "the pointer ends too early");
      const target = start + (((length & 0x3f) << 8) | (data[at + 1] ?? 0));
      if (target >= pieceStart) return bad(at, "value", "the pointer does not go backwards");
      if (++pointers > mostPointers) return bad(at, "value", `more than ${mostPointers} pointers`);
      if (next < 0) next = at + 2;
      at = target;
      pieceStart = target;
      continue;
    }
    if (length > longestLabel) return bad(at, "value", "neither a label nor a pointer");
    if (at + 1 + length > end) return bad(at, "truncated", "the label ends too early");
    total += length + 1;
    if (total > longestName) return bad(at, "value", "the name is longer than 255 bytes");
    name += `${name === "" ? "" : "."}${labelText(data, at + 1, length)}`;
    at += 1 + length;
  }
}

function bad(at: number, kind: "truncated" | "value", what: string): ReadName {
  return { ok: false, at, kind, what };
}

function labelText(data: Uint8Array, at: number, length: number): string {
  let text = "";
  for (let index = at; index < at + length; index++) {
    const byte = data[index] ?? 0;
    if (byte === 0x2e || byte === 0x5c) text += `\\${String.fromCharCode(byte)}`;
    else if (byte > 0x20 && byte < 0x7f) text += String.fromCharCode(byte);
    else text += `\\${String(byte).padStart(3, "0")}`;
  }
  return text;
}

/**
 * The labels of a name in text, each one's bytes; none for the root. A dot at the end does not matter.
 *
 * @throws RangeError naming the text, when a label is empty or longer than 63 bytes, the name is longer than 255, or
 * a character is not ASCII (write it as `\DDD`, or use the A-label of RFC 5890).
 */
export function labelsOf(name: string): Uint8Array[] {
  const labels: Uint8Array[] = [];
  if (name === "." || name === "") return labels;
  let label: number[] = [];
  let total = 1;
  const finish = (): void => {
    if (label.length === 0) throw new RangeError(`"${name}" has an empty label`);
    if (label.length > longestLabel) throw new RangeError(`"${name}" has a label longer than 63 bytes`);
    total += label.length + 1;
    labels.push(Uint8Array.from(label));
    label = [];
  };
  for (let at = 0; at < name.length; at++) {
    const code = name.charCodeAt(at);
    if (code === 0x2e) {
      finish();
    } else if (code === 0x5c) {
      const digits = /^\d{3}/.exec(name.slice(at + 1, at + 4))?.[0];
      const byte = digits === undefined ? name.charCodeAt(at + 1) : Number(digits);
      if (!(byte <= 255)) throw new RangeError(`"${name}" has a backslash without a character`);
      label.push(byte);
      at += digits === undefined ? 1 : 3;
    } else if (code > 0x7e || code < 0x20) {
      throw new RangeError(`"${name}" has a character that is not printable ASCII`);
    } else {
      label.push(code);
    }
  }
  if (label.length > 0) finish();
  if (total > longestName) throw new RangeError(`"${name}" is longer than 255 bytes`);
  return labels;
}

/** One text for all spellings of a name: names are compared without case (RFC 4343) and without a dot at the end. */
export function canonicalName(name: string): string {
  const lower = name.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
  // A dot behind an odd number of backslashes belongs to a label.
  const dot = /(\\*)\.$/.exec(lower);
  return lower !== "." && dot !== null && (dot[1] ?? "").length % 2 === 0 ? lower.slice(0, -1) : lower;
}

/** The name under which the host of an IPv4 (RFC 1035 §3.5) or IPv6 address (RFC 3596 §2.5) is found. */
export function reverseName(address: IpAddress): string {
  const { family, w0, w1, w2, w3 } = address;
  const digits = family === 4 ? 8 : 4;
  const parts: number[] = [];
  for (const word of family === 4 ? [w3] : [w0, w1, w2, w3]) {
    for (let shift = 32 - digits; shift >= 0; shift -= digits) parts.push((word >>> shift) & (2 ** digits - 1));
  }
  const text = parts.reverse().map((part) => part.toString(family === 4 ? 10 : 16));
  return `${text.join(".")}.${family === 4 ? "in-addr" : "ip6"}.arpa`;
}
