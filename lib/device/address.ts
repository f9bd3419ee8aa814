/**
 * Addresses as small immutable values: {@link MacAddress}, {@link IpAddress}, {@link Prefix} and {@link Endpoint}.
 *
 * Each keeps its bits in 32-bit integer words, so comparing two addresses, or an address with bytes on the wire,
 * needs no allocation.
 */

/** A 48-bit IEEE 802 address. */
export class MacAddress {
  static readonly broadcast: MacAddress = new MacAddress(0xffff, -1);
  static readonly zero: MacAddress = new MacAddress(0, 0);

  /** The first two bytes, an unsigned 16-bit integer in network order. */
  readonly high: number;
  /** The last four bytes, a signed 32-bit integer in network order. */
  readonly low: number;

  constructor(high: number, low: number) {
    this.high = high & 0xffff;
    this.low = low | 0;
  }

  /** Reads six bytes at `offset`. The caller has checked that they are there. */
  static read(bytes: Uint8Array, offset: number): MacAddress {
    return new MacAddress(
      (byte(bytes, offset) << 8) | byte(bytes, offset + 1),
      (byte(bytes, offset + 2) << 24) |
        (byte(bytes, offset + 3) << 16) |
        (byte(bytes, offset + 4) << 8) |
        byte(bytes, offset + 5),
    );
  }

  /**
   * Parses `02:00:00:aa:bb:cc` (or with `-`).
   *
   * @throws RangeError naming the text when it is not a MAC address.
   */
  static parse(text: string): MacAddress {
    if (!/^[0-9a-f]{2}([:-][0-9a-f]{2}){5}$/i.test(text)) {
      throw new RangeError(`"${text}" is not a MAC address (six pairs of hex digits, as in 02:00:00:aa:bb:cc)`);
    }
    const bytes = new Uint8Array(text.split(/[:-]/).map((pair) => Number.parseInt(pair, 16)));
    return MacAddress.read(bytes, 0);
  }

  /** Writes six bytes at `offset`. */
  write(bytes: Uint8Array, offset: number): void {
    bytes[offset] = this.high >>> 8;
    bytes[offset + 1] = this.high;
    bytes[offset + 2] = this.low >>> 24;
    bytes[offset + 3] = this.low >>> 16;
    bytes[offset + 4] = this.low >>> 8;
    bytes[offset + 5] = this.low;
  }

  equals(other: MacAddress): boolean {
    return this.high === other.high && this.low === other.low;
  }

  /** Whether the group bit is set: multicast and broadcast. */
  get isGroup(): boolean {
    return (this.high & 0x0100) !== 0;
  }

  toString(): string {
    const bytes = new Uint8Array(6);
    this.write(bytes, 0);
    return Array.from(bytes, (value) => value.toString(16).padStart(2, "0")).join(":");
  }
}

/**
 * An IPv4 or IPv6 address.
 *
 * Four signed 32-bit words in network order; an IPv4 address is in `w3` and the others are zero.
 */
export class IpAddress {
  /** `0.0.0.0`. */
  static readonly any4: IpAddress = new IpAddress(4, 0, 0, 0, 0);
  /** `255.255.255.255`. */
  static readonly broadcast4: IpAddress = new IpAddress(4, 0, 0, 0, -1);
  /** `127.0.0.1`. */
  static readonly loopback4: IpAddress = new IpAddress(4, 0, 0, 0, 0x7f000001);
  /** `::`. */
  static readonly any6: IpAddress = new IpAddress(6, 0, 0, 0, 0);
  /** `::1`. */
  static readonly loopback6: IpAddress = new IpAddress(6, 0, 0, 0, 1);

  readonly family: 4 | 6;
  readonly w0: number;
  readonly w1: number;
  readonly w2: number;
  readonly w3: number;

  constructor(family: 4 | 6, w0: number, w1: number, w2: number, w3: number) {
    this.family = family;
    this.w0 = w0 | 0;
    this.w1 = w1 | 0;
    this.w2 = w2 | 0;
    this.w3 = w3 | 0;
  }

  /** The IPv4 address whose 32 bits, in network order, are `word` (signed or unsigned). */
  static v4(word: number): IpAddress {
    return new IpAddress(4, 0, 0, 0, word);
  }

  /**
   * Parses an IPv4 dotted quad (no leading zeros: RFC 6943 §3.1.1) or an IPv6 address (RFC 4291 §2.2, no zone).
   *
   * @throws RangeError naming the text when it is neither.
   */
  static parse(text: string): IpAddress {
    const address = IpAddress.tryParse(text);
    if (address === undefined) {
      throw new RangeError(`"${text}" is not an IP address (as in 10.0.0.2 or fd00::2)`);
    }
    return address;
  }

  /** As {@link IpAddress.parse}, but `undefined` when the text is not an address. */
  static tryParse(text: string): IpAddress | undefined {
    return text.includes(":") ? parse6(text) : parse4(text);
  }

  equals(other: IpAddress): boolean {
    return (
      this.w3 === other.w3 &&
      this.w2 === other.w2 &&
      this.w1 === other.w1 &&
      this.w0 === other.w0 &&
      this.family === other.family
    );
  }

  /** `0.0.0.0` or `::`. */
  get isUnspecified(): boolean {
    return this.w0 === 0 && this.w1 === 0 && this.w2 === 0 && this.w3 === 0;
  }

  /** `127.0.0.0/8` or `::1`. */
  get isLoopback(): boolean {
    return this.family === 4 ? this.w3 >>> 24 === 127 : this.equals(IpAddress.loopback6);
  }

  /** `224.0.0.0/4` or `ff00::/8`. */
  get isMulticast(): boolean {
    return this.family === 4 ? this.w3 >>> 28 === 14 : this.w0 >>> 24 === 0xff;
  }

  /** Dotted quad, or the canonical IPv6 text of RFC 5952. */
  toString(): string {
    return this.family === 4 ? text4(this.w3) : text6([this.w0, this.w1, this.w2, this.w3]);
  }
}

/** An address block in CIDR notation, such as `10.0.0.0/8`, or an interface address, such as `10.0.0.2/24`. */
export class Prefix {
  readonly address: IpAddress;
  /** Leading bits that belong to the network: 0–32 for IPv4, 0–128 for IPv6. */
  readonly length: number;

  /** @throws RangeError when `length` is out of range for the family. */
  constructor(address: IpAddress, length: number) {
    const most = address.family === 4 ? 32 : 128;
    if (!Number.isInteger(length) || length < 0 || length > most) {
      throw new RangeError(`prefix length ${String(length)} is not an integer from 0 to ${String(most)}`);
    }
    this.address = address;
    this.length = length;
  }

  /**
   * Parses `10.0.0.2/24`. Host bits may be set.
   *
   * @throws RangeError naming the text.
   */
  static parse(text: string): Prefix {
    const match = /^([^/]+)\/(\d{1,3})$/.exec(text);
    if (match?.[1] === undefined || match[2] === undefined) {
      throw new RangeError(`"${text}" is not an address with a prefix length (as in 10.0.0.2/24)`);
    }
    return new Prefix(IpAddress.parse(match[1]), Number(match[2]));
  }

  /** Whether `address` is of the same family and inside this block. */
  contains(address: IpAddress): boolean {
    const own = this.address;
    if (own.family !== address.family) return false;
    if (own.family === 4) return ((own.w3 ^ address.w3) & mask(this.length)) === 0;
    return (
      ((own.w0 ^ address.w0) & mask(this.length)) === 0 &&
      ((own.w1 ^ address.w1) & mask(this.length - 32)) === 0 &&
      ((own.w2 ^ address.w2) & mask(this.length - 64)) === 0 &&
      ((own.w3 ^ address.w3) & mask(this.length - 96)) === 0
    );
  }

  /** The IPv4 directed broadcast address of this block, or `undefined` for IPv6 and for /31 and /32 (RFC 3021). */
  get broadcast(): IpAddress | undefined {
    if (this.address.family === 6 || this.length > 30) return undefined;
    return IpAddress.v4(this.address.w3 | ~mask(this.length));
  }

  toString(): string {
    return `${this.address.toString()}/${String(this.length)}`;
  }
}

/** A transport address. Ports are integers from 0 to 65535. */
export interface Endpoint {
  readonly address: IpAddress;
  readonly port: number;
}

/** `10.0.0.2:80` or `[fd00::2]:80`. */
export function formatEndpoint(endpoint: Endpoint): string {
  const { address, port } = endpoint;
  return address.family === 4 ? `${address.toString()}:${String(port)}` : `[${address.toString()}]:${String(port)}`;
}

function byte(bytes: Uint8Array, offset: number): number {
  return bytes[offset] ?? 0;
}

/** The 32-bit mask with `length` leading ones; below 0 none, above 32 all. */
function mask(length: number): number {
  return length <= 0 ? 0 : length >= 32 ? -1 : -1 << (32 - length);
}

function parse4(text: string): IpAddress | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  let word = 0;
  for (const part of parts) {
    if (!/^(0|[1-9]\d{0,2})$/.test(part)) return undefined;
    const value = Number(part);
    if (value > 255) return undefined;
    word = (word << 8) | value;
  }
  return IpAddress.v4(word);
}

function parse6(text: string): IpAddress | undefined {
  // A trailing dotted quad stands for the last two groups (RFC 4291 §2.2, third form).
  let head = text;
  let quad: number | undefined;
  const lastColon = text.lastIndexOf(":");
  if (text.includes(".")) {
    const embedded = parse4(text.slice(lastColon + 1));
    if (embedded === undefined) return undefined;
    quad = embedded.w3;
    head = `${text.slice(0, lastColon + 1)}0:0`;
  }
  const halves = head.split("::");
  if (halves.length > 2) return undefined;
  const left = groups(halves[0] ?? "");
  const right = groups(halves[1] ?? "");
  if (left === undefined || right === undefined) return undefined;
  const missing = 8 - left.length - right.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const all = [...left, ...new Array<number>(missing).fill(0), ...right];
  const word = (index: number): number => ((all[index * 2] ?? 0) << 16) | (all[index * 2 + 1] ?? 0);
  return new IpAddress(6, word(0), word(1), word(2), quad ?? word(3));
}

function groups(text: string): number[] | undefined {
  if (text === "") return [];
  const parts = text.split(":");
  if (parts.length > 8 || !parts.every((part) => /^[0-9a-f]{1,4}$/i.test(part))) return undefined;
  return parts.map((part) => Number.parseInt(part, 16));
}

function text4(word: number): string {
  return `${String(word >>> 24)}.${String((word >>> 16) & 255)}.${String((word >>> 8) & 255)}.${String(word & 255)}`;
}

function text6(words: readonly number[]): string {
  // RFC 5952 §5: an IPv4-mapped address shows its quad.
  if (words[0] === 0 && words[1] === 0 && words[2] === 0xffff) return `::ffff:${text4(words[3] ?? 0)}`;
  const parts = words.flatMap((word) => [word >>> 16, word & 0xffff]);
  let bestStart = -1;
  let bestLength = 1;
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && parts[start + length] === 0) length++;
    if (length > bestLength) {
      bestStart = start;
      bestLength = length;
    }
  }
  const hex = parts.map((part) => part.toString(16));
  if (bestStart < 0) return hex.join(":");
  return `${hex.slice(0, bestStart).join(":")}::${hex.slice(bestStart + bestLength).join(":")}`;
}
