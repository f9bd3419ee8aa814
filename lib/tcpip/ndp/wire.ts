/** Neighbour Discovery messages and their options (RFC 4861 §4, RFC 4191 §2.3, RFC 8106 §5). */

import { IpAddress, MacAddress, Prefix } from "@tesserae/device/address";
import { readInt32 } from "@tesserae/wire/field";
import { bits, flag, ipv6, layout, u16, u32, u8 } from "@tesserae/wire/layout";

export const optionSourceMac = 1;
export const optionTargetMac = 2;
export const optionPrefix = 3;
export const optionRedirected = 4;
export const optionMtu = 5;
export const optionNonce = 14;
export const optionRoute = 24;
export const optionNameServers = 25;
export const optionSearch = 31;

/** A solicitation, or the fixed part of it and of a redirect: the target is behind four reserved bytes. */
export const neighbourSolicitation = layout("neighbour-solicitation", {
  type: u8({ expect: 135 }),
  code: u8({ expect: 0 }),
  checksum: u16({ hex: true }),
  reserved: u32(),
  target: ipv6(),
});

export const neighbourAdvertisement = layout("neighbour-advertisement", {
  type: u8({ expect: 136 }),
  code: u8({ expect: 0 }),
  checksum: u16({ hex: true }),
  router: flag(),
  solicited: flag(),
  override: flag(),
  reserved: bits(5),
  reserved2: u8(),
  reserved3: u16(),
  target: ipv6(),
});

export const routerSolicitation = layout("router-solicitation", {
  type: u8({ expect: 133 }),
  code: u8({ expect: 0 }),
  checksum: u16({ hex: true }),
  reserved: u32(),
});

export const routerAdvertisement = layout("router-advertisement", {
  type: u8({ expect: 134 }),
  code: u8({ expect: 0 }),
  checksum: u16({ hex: true }),
  hopLimit: u8(),
  managed: flag(),
  other: flag(),
  homeAgent: flag(),
  /** RFC 4191 §2.2: 01 high, 00 medium, 11 low. */
  preference: bits(2),
  reserved: bits(3),
  /** Seconds; 0 is no default router. */
  lifetime: u16(),
  /** Milliseconds; 0 is not said. */
  reachableTime: u32(),
  /** Milliseconds; 0 is not said. */
  retransmitTimer: u32(),
});

export const redirect = layout("redirect", {
  type: u8({ expect: 137 }),
  code: u8({ expect: 0 }),
  checksum: u16({ hex: true }),
  reserved: u32(),
  target: ipv6(),
  destination: ipv6(),
});

export const prefixOption = layout("prefix-information", {
  type: u8({ expect: optionPrefix }),
  length: u8({ expect: 4 }),
  prefixLength: u8(),
  onLink: flag(),
  autonomous: flag(),
  reserved: bits(6),
  /** Seconds; all ones is for ever. */
  validLifetime: u32(),
  preferredLifetime: u32(),
  reserved2: u32(),
  prefix: ipv6(),
});

/** A prefix that a router told. */
export interface PrefixInformation {
  readonly prefix: Prefix;
  readonly onLink: boolean;
  readonly autonomous: boolean;
  /** Milliseconds, or `Infinity`. */
  readonly validLifetime: number;
  /** Milliseconds, or `Infinity`. */
  readonly preferredLifetime: number;
}

/** A route more specific than the default one (RFC 4191). */
export interface RouteInformation {
  readonly prefix: Prefix;
  /** −1 low, 0 medium, 1 high. */
  readonly preference: number;
  /** Milliseconds, or `Infinity`; 0 takes it back. */
  readonly lifetime: number;
}

/** Values, and for how long. */
export interface Lasting<T> {
  readonly values: readonly T[];
  /** Milliseconds, or `Infinity`; 0 takes them back. */
  readonly lifetime: number;
}

/** What the options of a message say. */
export interface NdpOptions {
  readonly sourceMac: MacAddress | undefined;
  readonly targetMac: MacAddress | undefined;
  /** 0 when there is none. */
  readonly mtu: number;
  /** The first six bytes, as a number; −1 when there is none. */
  readonly nonce: number;
  readonly prefixes: readonly PrefixInformation[];
  readonly routes: readonly RouteInformation[];
  readonly nameServers: readonly Lasting<IpAddress>[];
  readonly search: readonly Lasting<string>[];
}

/** Options read of one message; the others are passed over. A link's MTU has room for more only on purpose. */
const mostOptions = 64;
const mostListed = 16;

/**
 * The options in `bytes[offset … end)`.
 *
 * @returns `undefined` when one has a length of 0 or does not fit: the whole message is void (RFC 4861 §4.6).
 */
export function readOptions(bytes: Uint8Array, offset: number, end: number): NdpOptions | undefined {
  let sourceMac: MacAddress | undefined;
  let targetMac: MacAddress | undefined;
  let mtu = 0;
  let nonce = -1;
  const prefixes: PrefixInformation[] = [];
  const routes: RouteInformation[] = [];
  const nameServers: Lasting<IpAddress>[] = [];
  const search: Lasting<string>[] = [];
  let count = 0;
  for (let at = offset; at < end;) {
    const length = (bytes[at + 1] ?? 0) * 8;
    if (length === 0 || at + length > end) return undefined;
    if (++count > mostOptions) break;
    switch (bytes[at]) {
      case optionSourceMac:
        if (length === 8) sourceMac = unicastMac(bytes, at + 2);
        break;
      case optionTargetMac:
        if (length === 8) targetMac = unicastMac(bytes, at + 2);
        break;
      case optionMtu:
        if (length === 8) mtu = readInt32(bytes, at + 4) >>> 0;
        break;
      case optionNonce:
        nonce = readNonce(bytes, at + 2);
        break;
      case optionPrefix:
        if (length === prefixOption.size && prefixes.length < mostListed) {
          const read = readPrefix(bytes, at);
          if (read !== undefined) prefixes.push(read);
        }
        break;
      case optionRoute:
        if (routes.length < mostListed) {
          const read = readRoute(bytes, at, length);
          if (read !== undefined) routes.push(read);
        }
        break;
      case optionNameServers:
        if (nameServers.length < mostListed) nameServers.push(readNameServers(bytes, at, length));
        break;
      case optionSearch:
        if (search.length < mostListed) search.push(readSearch(bytes, at, length));
        break;
      default:
    }
    at += length;
  }
  return { sourceMac, targetMac, mtu, nonce, prefixes, routes, nameServers, search };
}

/** A group address is no host's: an option with one is a mistake or an attack. */
function unicastMac(bytes: Uint8Array, at: number): MacAddress | undefined {
  const mac = MacAddress.read(bytes, at);
  return mac.isGroup || mac.equals(MacAddress.zero) ? undefined : mac;
}

/** Six bytes as a number, exactly: below 2⁴⁸. */
export function readNonce(bytes: Uint8Array, at: number): number {
  return (((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)) * 0x1_0000_0000 + (readInt32(bytes, at + 2) >>> 0);
}

function readPrefix(bytes: Uint8Array, at: number): PrefixInformation | undefined {
  const field = prefixOption.field;
  const length = field.prefixLength.get(bytes, at);
  const valid = field.validLifetime.get(bytes, at);
  const preferred = field.preferredLifetime.get(bytes, at);
  // RFC 4862 §5.5.3 c: such an option is ignored.
  if (length > 128 || preferred > valid) return undefined;
  return {
    prefix: new Prefix(network(field.prefix.get(bytes, at), length), length),
    onLink: field.onLink.get(bytes, at),
    autonomous: field.autonomous.get(bytes, at),
    validLifetime: milliseconds(valid),
    preferredLifetime: milliseconds(preferred),
  };
}

function readRoute(bytes: Uint8Array, at: number, length: number): RouteInformation | undefined {
  const prefixLength = bytes[at + 2] ?? 0;
  const preference = ((bytes[at + 3] ?? 0) >>> 3) & 3;
  // RFC 4191 §2.3: as many bytes as the length needs; the reserved preference voids the option.
  if (prefixLength > 128 || length > 24 || (prefixLength > 0 && length < 16) || (prefixLength > 64 && length < 24)) {
    return undefined;
  }
  if (preference === 2) return undefined;
  const word = (index: number): number => (8 + index * 4 < length ? readInt32(bytes, at + 8 + index * 4) : 0);
  const address = network(new IpAddress(6, word(0), word(1), word(2), word(3)), prefixLength);
  return {
    prefix: new Prefix(address, prefixLength),
    preference: preferenceOf(preference),
    lifetime: milliseconds(readInt32(bytes, at + 4) >>> 0),
  };
}

function readNameServers(bytes: Uint8Array, at: number, length: number): Lasting<IpAddress> {
  const values: IpAddress[] = [];
  for (let from = at + 8; from + 16 <= at + length && values.length < mostListed; from += 16) {
    const address = new IpAddress(
      6,
      readInt32(bytes, from),
      readInt32(bytes, from + 4),
      readInt32(bytes, from + 8),
      readInt32(bytes, from + 12),
    );
    if (!address.isMulticast && !address.isUnspecified) values.push(address);
  }
  return { values, lifetime: milliseconds(readInt32(bytes, at + 4) >>> 0) };
}

/** Domain names in the wire format of DNS, without compression, padded with zeros (RFC 8106 §5.2). */
function readSearch(bytes: Uint8Array, at: number, length: number): Lasting<string> {
  const values: string[] = [];
  let labels: string[] = [];
  let size = 0;
  for (let from = at + 8; from < at + length && values.length < mostListed;) {
    const label = bytes[from] ?? 0;
    if (label === 0) {
      if (labels.length > 0) values.push(labels.join("."));
      labels = [];
      size = 0;
      from++;
      continue;
    }
    size += label + 1;
    if (label > 63 || size > 254 || from + 1 + label > at + length) break;
    const text = readLabel(bytes, from + 1, label);
    if (text === undefined) break;
    labels.push(text);
    from += 1 + label;
  }
  return { values, lifetime: milliseconds(readInt32(bytes, at + 4) >>> 0) };
}

/** Host names only: a router does not get to put anything else where names are printed. */
function readLabel(bytes: Uint8Array, at: number, length: number): string | undefined {
  let text = "";
  for (let index = at; index < at + length; index++) text += String.fromCharCode(bytes[index] ?? 0);
  return /^[0-9a-z_]([0-9a-z_-]*[0-9a-z_])?$/i.test(text) ? text.toLowerCase() : undefined;
}

/** RFC 4191 §2.1: two bits, signed; the reserved value is medium. */
export function preferenceOf(two: number): number {
  return two === 1 ? 1 : two === 3 ? -1 : 0;
}

function milliseconds(seconds: number): number {
  return seconds === 0xffffffff ? Infinity : seconds * 1000;
}

/** The address with all bits behind the first `length` cleared. */
export function network(address: IpAddress, length: number): IpAddress {
  const mask = (from: number): number => (length <= from ? 0 : length >= from + 32 ? -1 : -1 << (32 - (length - from)));
  return new IpAddress(6, address.w0 & mask(0), address.w1 & mask(32), address.w2 & mask(64), address.w3 & mask(96));
}

/** Writes a link-layer address option. @returns where it ends. */
export function writeMacOption(bytes: Uint8Array, at: number, type: number, mac: MacAddress): number {
  bytes[at] = type;
  bytes[at + 1] = 1;
  mac.write(bytes, at + 2);
  return at + 8;
}

/** Writes a nonce option (RFC 3971 §5.3.2) of six bytes. @returns where it ends. */
export function writeNonceOption(bytes: Uint8Array, at: number, nonce: number): number {
  bytes[at] = optionNonce;
  bytes[at + 1] = 1;
  for (let index = 0; index < 6; index++) bytes[at + 2 + index] = Math.floor(nonce / 256 ** (5 - index)) & 255;
  return at + 8;
}
