import { expandName, expandedLength, expandedNext, longestName, lowerInto, nameLength } from "../name-bytes.ts";
import { formatOf } from "./registry.ts";

/** Record data as bytes: taken out of messages, checked, and in the form that is signed. */

/** Data have at most as many bytes; a name of a message may grow to 255. */
const longestData = 65_535;

/** Whether `data` is well-formed data of `type`, not compressed. Data of types that are not known are. */
export function isValidData(type: number, data: Uint8Array): boolean {
  return formatOf(type)?.isValid(data, 0, data.length) ?? true;
}

/**
 * The data `message[at … at + length)` of a record of the message `message[start … end)`, with its names written out;
 * `undefined` when it is malformed.
 */
export function expandData(
  type: number,
  message: Uint8Array,
  at: number,
  length: number,
  start: number,
  end: number,
): Uint8Array | undefined {
  const dataEnd = at + length;
  if (dataEnd > end) return undefined;
  const format = formatOf(type);
  if (format === undefined) return new Uint8Array(message.subarray(at, dataEnd));
  // Most data have no name, and most names are not compressed.
  if (format.isValid(message, at, dataEnd)) return new Uint8Array(message.subarray(at, dataEnd));
  let names = 0;
  for (const kind of format.kinds) if (kind.isName) names++;
  if (names === 0) return undefined;
  const out = new Uint8Array(length + names * longestName);
  let to = 0;
  for (const kind of format.kinds) {
    if (kind.isName) {
      const expanded = expandName(message, at, start, dataEnd, out, to);
      if (expanded < 0) return undefined;
      at = expandedNext(expanded);
      to += expandedLength(expanded);
    } else {
      const next = kind.measure(message, at, dataEnd);
      if (next < 0) return undefined;
      out.set(message.subarray(at, next), to);
      to += next - at;
      at = next;
    }
  }
  return at === dataEnd && to <= longestData ? out.slice(0, to) : undefined;
}

/**
 * The canonical form of well-formed data (RFC 4034 §6.2): the names in it that are said to be, in lower case. `data`
 * itself when nothing changes.
 */
export function canonicalData(type: number, data: Uint8Array): Uint8Array {
  const format = formatOf(type);
  if (format === undefined) return data;
  let result = data;
  let at = 0;
  for (const kind of format.kinds) {
    const next = kind.isName ? at + nameLength(data, at) : kind.measure(data, at, data.length);
    if (next < at || (kind.isName && next === at)) return data;
    if (kind.isLowered) {
      if (result === data) result = new Uint8Array(data);
      lowerInto(data, at, next - at, result, at);
    }
    at = next;
  }
  return result;
}
