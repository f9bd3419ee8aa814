/** What a router tells the hosts of a link, as bytes (RFC 4861 §4.2, RFC 4191, RFC 8106). Pure. */

import type { IpAddress, MacAddress, Prefix } from "@tesserae/device/address";
import { leastMtu } from "../ipv6/wire.ts";
import {
  network,
  optionMtu,
  optionNameServers,
  optionPrefix,
  optionRoute,
  optionSearch,
  optionSourceMac,
  prefixOption,
  routerAdvertisement,
  writeMacOption,
} from "./wire.ts";

/** A prefix of the link. */
export interface AdvertisedPrefix {
  /** Its host bits do not count. Hosts make addresses of a /64 only. */
  readonly prefix: Prefix;
  /** Whether its addresses are on the link. Default true. */
  readonly onLink?: boolean;
  /** Whether hosts are to make addresses of it (RFC 4862). Default true. */
  readonly autonomous?: boolean;
  /** Milliseconds, or `Infinity`. Default 30 days. */
  readonly validLifetime?: number;
  /** Milliseconds, or `Infinity`; at most the valid lifetime. Default 7 days, or the valid lifetime if that is less. */
  readonly preferredLifetime?: number;
}

export type RouterPreference = "low" | "medium" | "high";

/** What a router says on one link (RFC 4861 §6.2.1). */
export interface RouterAdvertisementOptions {
  /** At most 8. Default: those of the interface's own addresses. */
  readonly prefixes?: readonly AdvertisedPrefix[];
  /** Milliseconds for which hosts send us what is not on the link, 0–9,000,000; 0: we are no way out. Default 1,800,000. */
  readonly lifetime?: number;
  /** Which of several routers hosts use (RFC 4191). Default `medium`. */
  readonly preference?: RouterPreference;
  /** The hop limit of hosts' packets, 0–255; 0: not said. Default 64. */
  readonly hopLimit?: number;
  /** Bytes, from 1280; 0: not said. Default 0. */
  readonly mtu?: number;
  /** Whether addresses, and whether other things, are to be had by DHCPv6. Default false. */
  readonly managed?: boolean;
  readonly other?: boolean;
  /** Networks that are reached through us, whatever becomes of the default route (RFC 4191 §2.3). At most 8. */
  readonly routes?: readonly {
    readonly prefix: Prefix;
    readonly preference?: RouterPreference;
    /** Milliseconds, or `Infinity`. Default: that of the router. */
    readonly lifetime?: number;
  }[];
  /** Name servers, at most 8 (RFC 8106), for as long as the router's lifetime, and at least for half an hour. */
  readonly nameServers?: readonly IpAddress[];
  /** Domains to look for names in, at most 4. */
  readonly search?: readonly string[];
}

const day = 86_400_000;
const longestLifetime = 9_000_000;
const standardLifetime = 1_800_000;
/** RFC 4191 §2.1. */
const preferences: Readonly<Record<RouterPreference, number>> = { high: 1, medium: 0, low: 3 };
/** It is to fit the smallest MTU, with the IPv6 header. */
const longest = leastMtu - 40;

/**
 * The message, without its checksum.
 *
 * @param own prefixes to tell when the options name none
 * @param isLast whether we are no router any more: the lifetime is 0
 * @throws RangeError naming the option that is out of range.
 */
export function writeRouterAdvertisement(
  options: RouterAdvertisementOptions,
  own: readonly Prefix[],
  mac: MacAddress,
  isLast: boolean,
): Uint8Array {
  const { lifetime = standardLifetime, preference = "medium", hopLimit = 64, mtu = 0 } = options;
  const { prefixes = own.map((prefix) => ({ prefix })), routes = [], nameServers = [], search = [] } = options;
  inRange("lifetime", lifetime, 0, longestLifetime);
  inRange("hopLimit", hopLimit, 0, 255);
  if (mtu !== 0) inRange("mtu", mtu, leastMtu, 65_535);
  inRange("prefixes", prefixes.length, 0, 8);
  inRange("routes", routes.length, 0, 8);
  inRange("nameServers", nameServers.length, 0, 8);
  inRange("search", search.length, 0, 4);
  const bytes = new Uint8Array(2048);
  const field = routerAdvertisement.field;
  bytes[0] = 134;
  field.hopLimit.set(bytes, 0, hopLimit);
  field.managed.set(bytes, 0, options.managed ?? false);
  field.other.set(bytes, 0, options.other ?? false);
  field.preference.set(bytes, 0, preferences[preference]);
  field.lifetime.set(bytes, 0, isLast ? 0 : Math.ceil(lifetime / 1000));
  let end = writeMacOption(bytes, routerAdvertisement.size, optionSourceMac, mac);
  if (mtu !== 0) end = writeMtu(bytes, end, mtu);
  for (const each of prefixes) end = writePrefix(bytes, end, each);
  for (const each of routes) end = writeRoute(bytes, end, each.prefix, each.preference, each.lifetime ?? lifetime);
  const told = Math.max(lifetime, standardLifetime);
  if (nameServers.length > 0) end = writeNameServers(bytes, end, nameServers, told);
  if (search.length > 0) end = writeSearch(bytes, end, search, told);
  if (end > longest) throw new RangeError(`the advertisement has ${end} bytes, of ${longest} at most`);
  return bytes.slice(0, end);
}

function inRange(name: string, value: number, least: number, most: number): void {
  if (value >= least && value <= most) return;
  throw new RangeError(`advertise.${name}: ${value} is not from ${least} to ${most}`);
}

function writeMtu(bytes: Uint8Array, at: number, mtu: number): number {
  bytes[at] = optionMtu;
  bytes[at + 1] = 1;
  put32(bytes, at + 4, mtu);
  return at + 8;
}

function writePrefix(bytes: Uint8Array, at: number, told: AdvertisedPrefix): number {
  const { prefix, validLifetime = 30 * day } = told;
  const { preferredLifetime = Math.min(7 * day, validLifetime) } = told;
  if (prefix.address.family !== 6) throw new RangeError(`advertise.prefixes: ${prefix.toString()} is not of IPv6`);
  if (!(preferredLifetime >= 0 && preferredLifetime <= validLifetime)) {
    throw new RangeError(`advertise.prefixes: ${prefix.toString()} is preferred for longer than it is valid`);
  }
  const field = prefixOption.field;
  bytes[at] = optionPrefix;
  bytes[at + 1] = prefixOption.size / 8;
  field.prefixLength.set(bytes, at, prefix.length);
  field.onLink.set(bytes, at, told.onLink ?? true);
  field.autonomous.set(bytes, at, told.autonomous ?? true);
  field.validLifetime.set(bytes, at, seconds(validLifetime));
  field.preferredLifetime.set(bytes, at, seconds(preferredLifetime));
  field.prefix.set(bytes, at, network(prefix.address, prefix.length));
  return at + prefixOption.size;
}

function writeRoute(
  bytes: Uint8Array,
  at: number,
  prefix: Prefix,
  preference: RouterPreference = "medium",
  lifetime: number,
): number {
  if (prefix.address.family !== 6) throw new RangeError(`advertise.routes: ${prefix.toString()} is not of IPv6`);
  bytes[at] = optionRoute;
  bytes[at + 1] = 3;
  bytes[at + 2] = prefix.length;
  bytes[at + 3] = preferences[preference] << 3;
  put32(bytes, at + 4, seconds(lifetime));
  putAddress(bytes, at + 8, network(prefix.address, prefix.length));
  return at + 24;
}

function writeNameServers(bytes: Uint8Array, at: number, servers: readonly IpAddress[], lifetime: number): number {
  bytes[at] = optionNameServers;
  bytes[at + 1] = 1 + servers.length * 2;
  put32(bytes, at + 4, seconds(lifetime));
  let end = at + 8;
  for (const server of servers) {
    if (server.family !== 6) throw new RangeError(`advertise.nameServers: ${server.toString()} is not of IPv6`);
    putAddress(bytes, end, server);
    end += 16;
  }
  return end;
}

function writeSearch(bytes: Uint8Array, at: number, domains: readonly string[], lifetime: number): number {
  let end = at + 8;
  for (const domain of domains) {
    const labels = domain.replace(/\.$/, "").split(".");
    if (domain.length > 253 || !labels.every((label) => /^[0-9a-z_-]{1,63}$/i.test(label))) {
      throw new RangeError(`advertise.search: "${domain}" is no domain`);
    }
    for (const label of labels) {
      bytes[end++] = label.length;
      for (let index = 0; index < label.length; index++) bytes[end++] = label.charCodeAt(index);
    }
    bytes[end++] = 0;
  }
  end = at + Math.ceil((end - at) / 8) * 8;
  bytes[at] = optionSearch;
  bytes[at + 1] = (end - at) / 8;
  put32(bytes, at + 4, seconds(lifetime));
  return end;
}

function seconds(milliseconds: number): number {
  return Math.min(0xffffffff, Math.ceil(milliseconds / 1000));
}

function put32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

function putAddress(bytes: Uint8Array, at: number, { w0, w1, w2, w3 }: IpAddress): void {
  put32(bytes, at, w0);
  put32(bytes, at + 4, w1);
  put32(bytes, at + 8, w2);
  put32(bytes, at + 12, w3);
}
