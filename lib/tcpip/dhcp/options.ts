/** DHCP options (RFC 2132, RFC 3396, RFC 3442). */

import { IpAddress, Prefix } from "@tesserae/device/address";
import type { Route } from "../ipv4/route.ts";

/** Codes, named as in RFC 2132. */
export const option = {
  pad: 0,
  subnetMask: 1,
  router: 3,
  nameServers: 6,
  hostName: 12,
  domainName: 15,
  interfaceMtu: 26,
  broadcastAddress: 28,
  timeServers: 42,
  requestedAddress: 50,
  leaseTime: 51,
  overload: 52,
  messageType: 53,
  serverIdentifier: 54,
  parameterRequestList: 55,
  message: 56,
  maximumSize: 57,
  renewalTime: 58,
  rebindingTime: 59,
  clientIdentifier: 61,
  relayInformation: 82,
  classlessRoutes: 121,
  end: 255,
} as const;

/** Code → value; the parts of an option that came in several are joined (RFC 3396). */
export type DhcpOptions = ReadonlyMap<number, Uint8Array>;

/**
 * Reads the options at `data[start … end)` into `into`, appending to what is there.
 *
 * @returns where an option reaches beyond the end, or `undefined` when all is well.
 */
export function collectOptions(
  data: Uint8Array,
  start: number,
  end: number,
  into: Map<number, Uint8Array>,
): number | undefined {
  let at = start;
  while (at < end) {
    const code = data[at] ?? option.end;
    if (code === option.end) return undefined;
    if (code === option.pad) {
      at++;
      continue;
    }
    const length = at + 1 < end ? (data[at + 1] ?? 0) : 256;
    if (at + 2 + length > end) return at;
    const part = data.slice(at + 2, at + 2 + length);
    const known = into.get(code);
    if (known === undefined) into.set(code, part);
    else {
      const joined = new Uint8Array(known.length + part.length);
      joined.set(known);
      joined.set(part, known.length);
      into.set(code, joined);
    }
    at += 2 + length;
  }
  return undefined;
}

/** An unsigned 32-bit value, or `undefined` when the option is absent or of another length. */
export function uint32Option(options: DhcpOptions, code: number): number | undefined {
  const value = options.get(code);
  return value?.length === 4 ? word(value, 0) >>> 0 : undefined;
}

/** A list of addresses; empty when absent or of a length that is no multiple of four. */
export function addressesOption(options: DhcpOptions, code: number): IpAddress[] {
  const value = options.get(code);
  if (value === undefined || value.length % 4 !== 0) return [];
  return Array.from({ length: value.length / 4 }, (_, index) => IpAddress.v4(word(value, index * 4)));
}

/** Text without control characters, which peers must not get into logs; `undefined` when absent. */
export function textOption(options: DhcpOptions, code: number): string | undefined {
  const value = options.get(code);
  if (value === undefined) return undefined;
  return new TextDecoder().decode(value).replaceAll(/\p{Cc}/gu, "");
}

/** The length of the prefix of a subnet mask, or `undefined` when its ones are not contiguous. */
export function maskLength(mask: number): number | undefined {
  const length = Math.clz32(~mask);
  return length === 32
    ? mask === -1
      ? 32
      : undefined
    : mask === (length === 0 ? 0 : -1 << (32 - length))
      ? length
      : undefined;
}

/** Classless static routes (RFC 3442), or `undefined` when absent or malformed. */
export function routesOption(options: DhcpOptions): Route[] | undefined {
  const value = options.get(option.classlessRoutes);
  if (value === undefined) return undefined;
  const routes: Route[] = [];
  let at = 0;
  while (at < value.length) {
    const length = value[at] ?? 0;
    const significant = (length + 7) >>> 3;
    if (length > 32 || at + 1 + significant + 4 > value.length) return undefined;
    const network = new Uint8Array(4);
    network.set(value.subarray(at + 1, at + 1 + significant));
    const gateway = IpAddress.v4(word(value, at + 1 + significant));
    const prefix = new Prefix(IpAddress.v4(word(network, 0)), length);
    routes.push(gateway.isUnspecified ? { prefix } : { prefix, gateway });
    at += 1 + significant + 4;
  }
  return routes;
}

/** The bytes of classless static routes (RFC 3442). */
export function routeBytes(routes: readonly Route[]): Uint8Array {
  return Uint8Array.from(
    routes.flatMap(({ prefix, gateway = IpAddress.any4 }) => [
      prefix.length,
      ...addressBytes(prefix.address).subarray(0, (prefix.length + 7) >>> 3),
      ...addressBytes(gateway),
    ]),
  );
}

/** The bytes of an unsigned 32-bit value. */
export function uint32Bytes(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}

/** The bytes of addresses, as options carry them. */
export function addressBytes(...addresses: readonly IpAddress[]): Uint8Array {
  return Uint8Array.from(addresses.flatMap(({ w3 }) => [w3 >>> 24, (w3 >>> 16) & 255, (w3 >>> 8) & 255, w3 & 255]));
}

function word(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
}
