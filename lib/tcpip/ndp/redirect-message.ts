import type { IpAddress, MacAddress } from "@tesserae/device/address";
import { copyBytes } from "@tesserae/wire/copy-bytes";
import { ndRedirect } from "../icmpv6/wire.ts";
import { ipv6, leastMtu } from "../ipv6/wire.ts";
import { optionRedirected, optionTargetMac, redirect, writeMacOption } from "./wire.ts";

/** Bytes of the longest redirect: no link cuts it (RFC 4861 §4.6.3). */
export const mostRedirect = leastMtu - ipv6.size;

/**
 * Writes a redirect (RFC 4861 §4.5) without its checksum to the start of `message`, {@link mostRedirect} bytes.
 *
 * @param target the better first hop: a router's link-local address, or the destination itself
 * @param mac the target's, if it is known
 * @param bytes `bytes[header … header + total)` is the packet that it is about
 * @returns its length.
 */
export function writeRedirect(
  message: Uint8Array,
  target: IpAddress,
  destination: IpAddress,
  mac: MacAddress | undefined,
  bytes: Uint8Array,
  header: number,
  total: number,
): number {
  message.fill(0);
  message[0] = ndRedirect;
  redirect.field.target.set(message, 0, target);
  redirect.field.destination.set(message, 0, destination);
  const at = mac === undefined ? redirect.size : writeMacOption(message, redirect.size, optionTargetMac, mac);
  // Options are in units of eight bytes, the last one filled up with zeros.
  const room = mostRedirect - at - 8;
  const quoted = Math.min(total, room - (room % 8));
  const units = 1 + Math.ceil(quoted / 8);
  message[at] = optionRedirected;
  message[at + 1] = units;
  copyBytes(bytes, header, message, at + 8, quoted);
  return at + units * 8;
}
