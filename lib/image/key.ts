import { IpAddress, Prefix, type Endpoint } from "@tesserae/device/address";

/** What a key's text must look like, and what it becomes. */
export type KeyType =
  /** Any text, at most `maxLength` UTF-16 units (default 4096). Becomes a string. */
  | { readonly kind: "string"; readonly maxLength?: number }
  /** A decimal integer from `min` to `max`, both inclusive (default: the safe integers). Becomes a number. */
  | { readonly kind: "integer"; readonly min?: number; readonly max?: number }
  /** 0 to 65535; 0 means any free port where the key is used for listening. Becomes a number. */
  | { readonly kind: "port" }
  /** `true` or `false`. */
  | { readonly kind: "boolean" }
  /** `250ms`, `1.5s`, `2m`, `1h`, `1d`. Becomes milliseconds; `min` and `max` are milliseconds too. */
  | { readonly kind: "duration"; readonly min?: number; readonly max?: number }
  /** `512`, `64KiB`, `1MB`. Becomes a whole number of bytes; `min` and `max` are bytes. */
  | { readonly kind: "bytes"; readonly min?: number; readonly max?: number }
  /** `10.0.0.2` or `fd00::2`. Becomes an IpAddress. */
  | { readonly kind: "address" }
  /** `10.0.0.2/24`. Becomes a Prefix. */
  | { readonly kind: "prefix" }
  /** `10.0.0.2:80` or `[fd00::2]:80`. Becomes an Endpoint. */
  | { readonly kind: "endpoint" }
  /** `dhcp`, `10.0.0.2/24`, or `10.0.0.2/24 via 10.0.0.1`. Becomes an {@link Interface4}. */
  | { readonly kind: "interface4" }
  /** `auto`, `off`, `fd00::2/64`, or `fd00::2/64 via fe80::1`. Becomes an {@link Interface6}. */
  | { readonly kind: "interface6" }
  /** One of `choices`. Becomes a string. */
  | { readonly kind: "choice"; readonly choices: readonly string[] };

/** How an interface gets its IPv4 address. */
export type Interface4 =
  { readonly kind: "dhcp" } | { readonly kind: "static"; readonly address: Prefix; readonly gateway?: IpAddress };

/** How an interface gets its IPv6 addresses. */
export type Interface6 =
  | { readonly kind: "auto" }
  | { readonly kind: "off" }
  | { readonly kind: "static"; readonly address: Prefix; readonly gateway?: IpAddress };

/** What the text of a key can become. */
export type KeyValue = string | number | boolean | IpAddress | Prefix | Endpoint | Interface4 | Interface6;

/** A key that is given when the image starts. */
export interface KeyPlan {
  /** The property of `keys`, in camelCase; on the command line it is `--kebab-case`. */
  readonly name: string;
  readonly type: KeyType;
  /** The text used when none is given; absent: the key must be given. */
  readonly default?: string;
  /** What the key is for, in a few words. */
  readonly doc: string;
}

/** What is wrong with one key. */
export interface KeyProblem {
  readonly kind: "unknown" | "missing" | "malformed";
  /** The key's name. */
  readonly key: string;
  /** The text given, with `malformed`. */
  readonly given?: string;
  /** A sentence that names the key, what was given and what is allowed. */
  readonly message: string;
}

/** Keys that the image cannot start with. The message has one line for each problem. */
export class KeyError extends Error {
  override readonly name = "KeyError";
  readonly problems: readonly KeyProblem[];

  constructor(problems: readonly KeyProblem[]) {
    super(problems.map((each) => each.message).join("\n"));
    this.problems = problems;
  }
}

export type ParsedKey =
  { readonly ok: true; readonly value: KeyValue } | { readonly ok: false; readonly message: string };

/** Parses the text of one key. The message of a failure says what was given and what is allowed, not which key. */
export function parseKey(type: KeyType, text: string): ParsedKey {
  switch (type.kind) {
    case "string":
      return text.length <= (type.maxLength ?? 4096) ? { ok: true, value: text } : refuse(type, text);
    case "integer":
      return /^[+-]?\d+$/.test(text) ? within(type, text, Number(text)) : refuse(type, text);
    case "port":
      return /^\d{1,5}$/.test(text) && Number(text) <= 65535 ? { ok: true, value: Number(text) } : refuse(type, text);
    case "boolean":
      return text === "true" || text === "false" ? { ok: true, value: text === "true" } : refuse(type, text);
    case "duration":
      return within(type, text, scaled(text, durationUnits));
    case "bytes": {
      const bytes = scaled(text, byteUnits);
      return Number.isInteger(bytes) ? within(type, text, bytes) : refuse(type, text);
    }
    case "address":
      return found(type, text, IpAddress.tryParse(text));
    case "prefix":
      return found(type, text, parsePrefix(text));
    case "endpoint":
      return found(type, text, parseEndpoint(text));
    case "interface4":
      return found(type, text, parseInterface4(text));
    case "interface6":
      return found(type, text, parseInterface6(text));
    case "choice":
      return type.choices.includes(text) ? { ok: true, value: text } : refuse(type, text);
  }
}

/** What a key of this type may be, in words: `an integer from 1 to 10`. */
export function describeType(type: KeyType): string {
  switch (type.kind) {
    case "string":
      return `text of at most ${type.maxLength ?? 4096} characters`;
    case "integer":
      return `an integer${range(type, String)}`;
    case "port":
      return "a port from 0 to 65535";
    case "boolean":
      return `"true" or "false"`;
    case "duration":
      return `a duration such as 250ms, 1.5s, 2m, 1h or 1d${range(type, formatDuration)}`;
    case "bytes":
      return `a size such as 512, 64KiB or 1MB${range(type, (bytes) => `${bytes}B`)}`;
    case "address":
      return "an IP address such as 10.0.0.2 or fd00::2";
    case "prefix":
      return "an address with a prefix length such as 10.0.0.2/24";
    case "endpoint":
      return "an address with a port such as 10.0.0.2:80 or [fd00::2]:80";
    case "interface4":
      return `"dhcp", or an address such as "10.0.0.2/24" or "10.0.0.2/24 via 10.0.0.1"`;
    case "interface6":
      return `"auto", "off", or an address such as "fd00::2/64" or "fd00::2/64 via fd00::1"`;
    case "choice":
      return type.choices.map((each) => `"${each}"`).join(" or ");
  }
}

/** The text that {@link parseKey} turns into `value` again. */
export function formatKey(value: KeyValue): string {
  if (typeof value !== "object") return String(value);
  if ("kind" in value) {
    if (value.kind !== "static") return value.kind;
    const gateway = value.gateway === undefined ? "" : ` via ${value.gateway.toString()}`;
    return `${value.address.toString()}${gateway}`;
  }
  if ("port" in value) {
    const host = value.address.toString();
    return value.address.family === 4 ? `${host}:${value.port}` : `[${host}]:${value.port}`;
  }
  return value.toString();
}

/** `1500` becomes `1.5s`: the largest unit that needs at most two decimals. */
export function formatDuration(ms: number): string {
  for (const [unit, factor] of [...durationUnits].reverse()) {
    const count = ms / factor;
    if (count >= 1 && Number.isInteger(count * 100)) return `${count}${unit}`;
  }
  return `${ms}ms`;
}

/** `logLevel` becomes `log-level`. */
export function flagOf(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

const durationUnits: ReadonlyMap<string, number> = new Map([
  ["ms", 1],
  ["s", 1000],
  ["m", 60_000],
  ["h", 3_600_000],
  ["d", 86_400_000],
]);

const byteUnits: ReadonlyMap<string, number> = new Map([
  ["", 1],
  ["b", 1],
  ["kb", 1e3],
  ["mb", 1e6],
  ["gb", 1e9],
  ["tb", 1e12],
  ["kib", 2 ** 10],
  ["mib", 2 ** 20],
  ["gib", 2 ** 30],
  ["tib", 2 ** 40],
]);

function refuse(type: KeyType, text: string): ParsedKey {
  const shown = text.length > 80 ? `${text.slice(0, 80)}…` : text;
  return { ok: false, message: `"${shown}" is not ${describeType(type)}` };
}

function found(type: KeyType, text: string, value: KeyValue | undefined): ParsedKey {
  return value === undefined ? refuse(type, text) : { ok: true, value };
}

function within(type: { readonly min?: number; readonly max?: number } & KeyType, text: string, value: number) {
  const fits =
    Number.isFinite(value) &&
    Math.abs(value) <= Number.MAX_SAFE_INTEGER &&
    value >= (type.min ?? -Infinity) &&
    value <= (type.max ?? Infinity);
  return fits ? ({ ok: true, value } as const) : refuse(type, text);
}

/** A non-negative decimal number with a unit, times the unit; NaN when it is not one. */
function scaled(text: string, units: ReadonlyMap<string, number>): number {
  const match = /^(\d+(?:\.\d+)?) ?([a-z]*)$/i.exec(text);
  const factor = units.get((match?.[2] ?? "?").toLowerCase());
  return match === null || factor === undefined ? NaN : Number(match[1]) * factor;
}

function range(type: { readonly min?: number; readonly max?: number }, show: (value: number) => string): string {
  const { min, max } = type;
  if (min !== undefined && max !== undefined) return ` from ${show(min)} to ${show(max)}`;
  if (min !== undefined) return `, at least ${show(min)}`;
  return max === undefined ? "" : `, at most ${show(max)}`;
}

function parsePrefix(text: string): Prefix | undefined {
  const match = /^([^/]+)\/(\d{1,3})$/.exec(text);
  const address = IpAddress.tryParse(match?.[1] ?? "");
  const length = Number(match?.[2]);
  if (address === undefined || length > (address.family === 4 ? 32 : 128)) return undefined;
  return new Prefix(address, length);
}

function parseEndpoint(text: string): Endpoint | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([\d.]+)):(\d{1,5})$/i.exec(text);
  const address = IpAddress.tryParse(match?.[1] ?? match?.[2] ?? "");
  const port = Number(match?.[3]);
  // Brackets are for IPv6 and for nothing else (RFC 3986 §3.2.2).
  if (address === undefined || port > 65535 || (address.family === 6) !== (match?.[1] !== undefined)) return undefined;
  return { address, port };
}

function parseInterface4(text: string): Interface4 | undefined {
  return text === "dhcp" ? { kind: "dhcp" } : parseStatic(text, 4);
}

function parseInterface6(text: string): Interface6 | undefined {
  return text === "auto" || text === "off" ? { kind: text } : parseStatic(text, 6);
}

/** An address with a prefix length, and perhaps a router. */
function parseStatic(text: string, family: 4 | 6): (Interface4 & { readonly kind: "static" }) | undefined {
  const match = /^(\S+)(?: via (\S+))?$/.exec(text);
  const address = parsePrefix(match?.[1] ?? "");
  if (address?.address.family !== family) return undefined;
  if (match?.[2] === undefined) return { kind: "static", address };
  const gateway = IpAddress.tryParse(match[2]);
  return gateway?.family === family ? { kind: "static", address, gateway } : undefined;
}
