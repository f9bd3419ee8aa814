import { IpAddress } from "@tesserae/device/address";
import type { RecordParser } from "../record-parser.ts";
import type { RecordWriter } from "../record-writer.ts";
import { base64Text, base64Values } from "./encoding.ts";
import { FieldKind } from "./format.ts";
import type { RecordScanner } from "./scanner.ts";
import { quoted } from "./string-field.ts";

/** Keys of service parameters (RFC 9460 §14.3.2, RFC 9461, RFC 9540) by name. */
export const serviceKey = {
  mandatory: 0,
  alpn: 1,
  "no-default-alpn": 2,
  port: 3,
  ipv4hint: 4,
  ech: 5,
  ipv6hint: 6,
  dohpath: 7,
  ohttp: 8,
} as const;

export interface ServiceParameter {
  /** Of `serviceKey`, or any other from 0 to 65,534. */
  readonly key: number;
  /** As on the wire. */
  readonly value: Uint8Array;
}

const keyNames = new Map<number, string>(Object.entries(serviceKey).map(([name, key]) => [key, name]));
const keyNumbers = new Map<string, number>(Object.entries(serviceKey));

/** Parameters in the order of their keys, each at most once, to the end of the data (RFC 9460 §2.2). */
class ParametersField extends FieldKind<readonly ServiceParameter[]> {
  measure(data: Uint8Array, at: number, end: number): number {
    let last = -1;
    let next = at;
    while (next < end) {
      if (next + 4 > end) return -1;
      const key = u16(data, next);
      const from = next + 4;
      next = from + u16(data, next + 2);
      if (key <= last || key === 65_535 || next > end || !isValue(key, data, from, next)) return -1;
      // What is mandatory is there (§8): all keys that follow are behind it.
      if (key === 0 && !hasAll(data, from, next, end)) return -1;
      last = key;
    }
    return next;
  }

  read(parser: RecordParser, field: string): readonly ServiceParameter[] {
    const at = parser.at;
    const bytes = parser.bytes(parser.rest, field);
    if (this.measure(bytes, 0, bytes.length) < 0) parser.fail("value", field, "malformed service parameters", at);
    const parameters: ServiceParameter[] = [];
    for (let next = 0; parser.fault === undefined && next < bytes.length;) {
      const length = u16(bytes, next + 2);
      parameters.push({ key: u16(bytes, next), value: bytes.slice(next + 4, next + 4 + length) });
      next += 4 + length;
    }
    return parameters;
  }

  write(writer: RecordWriter, value: readonly ServiceParameter[]): void {
    let last = -1;
    for (const { key, value: bytes } of value.toSorted((a, b) => a.key - b.key)) {
      if (key === last) throw new RangeError(`the service parameter ${key} is there twice`);
      last = key;
      writer.u16(key);
      writer.u16(bytes.length);
      writer.bytes(bytes);
    }
  }

  print(parser: RecordParser): string {
    return this.read(parser, "").map(parameterText).join(" ");
  }

  scan(scanner: RecordScanner, field: string): void {
    const found = new Map<number, { readonly value: Uint8Array; readonly token: number }>();
    while (scanner.hasMore && scanner.fault === undefined) {
      const token = scanner.next;
      const word = scanner.unescapedPair(field);
      const key = keyNumbers.get(word.key) ?? genericKey(word.key);
      if (key === undefined) {
        scanner.fail(`${field}: "${word.key}" is not a key (${[...keyNumbers.keys()].join(", ")}, or key65280)`);
        return;
      }
      if (found.has(key)) scanner.fail(`${field}: "${word.key}" is there twice`);
      const value = keyNames.has(key) ? parameterValue(key, word.value) : (word.value ?? new Uint8Array(0));
      if (typeof value === "string") scanner.fail(`${word.key}: ${value}`);
      else if (value.length > 0xffff) scanner.fail(`${word.key}: longer than 65,535 bytes`);
      else found.set(key, { value, token });
    }
    const at = scanner.length;
    for (const [key, { value }] of [...found].sort(([a], [b]) => a - b)) {
      scanner.u16(key);
      scanner.u16(value.length);
      scanner.put(value);
    }
    if (scanner.fault === undefined && this.measure(scanner.out, at, scanner.length) < 0) {
      scanner.fail("mandatory: a key that is not among the parameters", found.get(0)?.token);
    }
  }
}

function u16(data: Uint8Array, at: number): number {
  return ((data[at] ?? 0) << 8) | (data[at + 1] ?? 0);
}

function isValue(key: number, data: Uint8Array, at: number, end: number): boolean {
  const length = end - at;
  switch (key) {
    case serviceKey.mandatory: {
      if (length === 0 || length % 2 !== 0) return false;
      for (let next = at, last = 0; next < end; last = u16(data, next), next += 2) {
        if (u16(data, next) <= last) return false;
      }
      return true;
    }
    case serviceKey.alpn: {
      let next = at;
      while (next < end && data[next] !== 0) next += 1 + (data[next] ?? 0);
      return length > 0 && next === end;
    }
    case serviceKey["no-default-alpn"]:
    case serviceKey.ohttp:
      return length === 0;
    case serviceKey.port:
      return length === 2;
    case serviceKey.ipv4hint:
      return length > 0 && length % 4 === 0;
    case serviceKey.ipv6hint:
      return length > 0 && length % 16 === 0;
    default:
      return true;
  }
}

/** Whether each key of the list `data[at … listEnd)` is among the parameters `data[listEnd … end)`. */
function hasAll(data: Uint8Array, at: number, listEnd: number, end: number): boolean {
  let next = listEnd;
  for (let wanted = at; wanted < listEnd; wanted += 2) {
    while (next + 4 <= end && u16(data, next) < u16(data, wanted)) next += 4 + u16(data, next + 2);
    if (next + 4 > end || u16(data, next) !== u16(data, wanted)) return false;
  }
  return true;
}

function genericKey(text: string): number | undefined {
  const digits = /^key(0|[1-9]\d{0,4})$/.exec(text)?.[1];
  return digits !== undefined && Number(digits) < 65_535 ? Number(digits) : undefined;
}

function keyName(key: number): string {
  return keyNames.get(key) ?? `key${key}`;
}

function parameterText({ key, value }: ServiceParameter): string {
  const name = keyName(key);
  switch (key) {
    case serviceKey.mandatory: {
      const keys: string[] = [];
      for (let at = 0; at < value.length; at += 2) keys.push(keyName(u16(value, at)));
      return `${name}=${keys.join(",")}`;
    }
    case serviceKey.alpn: {
      const list: number[] = [];
      for (let at = 0; at < value.length; at += 1 + (value[at] ?? 0)) {
        if (at > 0) list.push(0x2c);
        for (const byte of value.subarray(at + 1, at + 1 + (value[at] ?? 0))) {
          // A comma within a value is escaped, and so is the backslash that does it (A.1).
          if (byte === 0x2c || byte === 0x5c) list.push(0x5c);
          list.push(byte);
        }
      }
      return `${name}=${quoted(Uint8Array.from(list))}`;
    }
    case serviceKey.port:
      return `${name}=${u16(value, 0)}`;
    case serviceKey.ipv4hint:
    case serviceKey.ipv6hint: {
      const words: number[] = [];
      for (let at = 0; at < value.length; at += 4) words.push((u16(value, at) << 16) | u16(value, at + 2));
      const addresses: IpAddress[] = [];
      if (key === serviceKey.ipv4hint) addresses.push(...words.map((each) => IpAddress.v4(each)));
      for (let at = 0; key === serviceKey.ipv6hint && at < words.length; at += 4) {
        const [w0 = 0, w1 = 0, w2 = 0, w3 = 0] = words.slice(at, at + 4);
        addresses.push(new IpAddress(6, w0, w1, w2, w3));
      }
      return `${name}=${addresses.map(String).join(",")}`;
    }
    case serviceKey.ech:
      return value.length === 0 ? name : `${name}=${base64Text(value)}`;
    default:
      return value.length === 0 ? name : `${name}=${quoted(value)}`;
  }
}

/** The bytes of a parameter that has a form of its own, or what is wrong. */
function parameterValue(key: number, value: Uint8Array | undefined): Uint8Array | string {
  if (key === serviceKey["no-default-alpn"] || key === serviceKey.ohttp) {
    return value === undefined || value.length === 0 ? new Uint8Array(0) : "has no value";
  }
  if (value === undefined || value.length === 0) return "needs a value";
  const items = commaList(value);
  const texts = items.map((item) => String.fromCharCode(...item.subarray(0, 255)));
  switch (key) {
    case serviceKey.mandatory: {
      const keys = texts.map((text) => keyNumbers.get(text) ?? genericKey(text) ?? 0).sort((a, b) => a - b);
      if (keys.includes(0)) return "a list of keys other than mandatory";
      if (new Set(keys).size < keys.length) return "a key that is there twice";
      return Uint8Array.from(keys.flatMap((each) => [each >>> 8, each & 255]));
    }
    case serviceKey.alpn:
      if (items.some((item) => item.length === 0 || item.length > 255)) return "protocols have 1 to 255 bytes";
      return Uint8Array.from(items.flatMap((item) => [item.length, ...item]));
    case serviceKey.port: {
      const port = /^\d{1,5}$/.test(texts[0] ?? "") && texts.length === 1 ? Number(texts[0]) : 65_536;
      return port > 65_535 ? "a number from 0 to 65535" : Uint8Array.of(port >>> 8, port & 255);
    }
    case serviceKey.ipv4hint:
    case serviceKey.ipv6hint: {
      const family = key === serviceKey.ipv4hint ? 4 : 6;
      const addresses = texts.map((text) => IpAddress.tryParse(text));
      const words = addresses.flatMap((each) => {
        if (each?.family !== family) return [];
        return family === 4 ? [each.w3] : [each.w0, each.w1, each.w2, each.w3];
      });
      if (words.length !== addresses.length * (family === 4 ? 1 : 4)) return `a list of IPv${family} addresses`;
      return Uint8Array.from(
        words.flatMap((each) => [each >>> 24, (each >>> 16) & 255, (each >>> 8) & 255, each & 255]),
      );
    }
    case serviceKey.ech:
      return fromBase64(value) ?? "not base 64";
    default:
      return value;
  }
}

/** The items between commas that no backslash stands in front of. */
function commaList(value: Uint8Array): Uint8Array[] {
  const items: Uint8Array[] = [];
  let item: number[] = [];
  for (let at = 0; at < value.length; at++) {
    const byte = value[at] ?? 0;
    if (byte === 0x2c) {
      items.push(Uint8Array.from(item));
      item = [];
    } else {
      item.push(byte === 0x5c && at + 1 < value.length ? (value[++at] ?? 0) : byte);
    }
  }
  items.push(Uint8Array.from(item));
  return items;
}

function fromBase64(text: Uint8Array): Uint8Array | undefined {
  const bytes: number[] = [];
  let bits = 0;
  let held = 0;
  let digits = 0;
  for (const code of text) {
    const value = base64Values[code] ?? -1;
    if (value < 0) {
      if (code === 0x3d && digits % 4 >= 2) continue;
      return undefined;
    }
    digits++;
    bits = ((bits << 6) | value) & 0xfff;
    held += 6;
    if (held < 8) continue;
    held -= 8;
    bytes.push((bits >>> held) & 255);
  }
  return text.length % 4 === 0 && (bits & ((1 << held) - 1)) === 0 ? Uint8Array.from(bytes) : undefined;
}

export const serviceParameters: FieldKind<readonly ServiceParameter[]> = new ParametersField();
