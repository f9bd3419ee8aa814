import { firstEphemeralPort } from "@tesserae/tcpip/ports/ephemeral";

/** Every queue's stack is to see the frame: what it tells belongs to a host, not to a flow. */
export const forAll = -1;
/** No queue could do anything right with it. */
export const forNone = -2;

const etherTypeIpv4 = 0x0800;
const etherTypeArp = 0x0806;
const etherTypeIpv6 = 0x86dd;
const icmp = 1;
const igmp = 2;
const tcp = 6;
const udp = 17;
const icmp6 = 58;
const echoRequest = 8;
const echoRequest6 = 128;
const neighbourSolicitation = 135;
/** Extension headers that are stepped over, at most. */
const mostExtensions = 8;

/**
 * Which queue's stack a received frame is for, where it came by queue `own` of `count`.
 *
 * - What goes to an ephemeral port belongs to the queue whose stack gave it out: the port modulo `count`.
 * - Everything else of TCP and UDP stays where the kernel or the card put it, which is the same queue for all of a flow;
 *   so do echo requests and neighbour solicitations, which any stack answers.
 * - ARP, ICMP errors, router and neighbour advertisements and queries for groups are {@link forAll}.
 * - Fragments of UDP and of other protocols are put together on queue 0. Those of TCP are {@link forNone}: only one of the
 *   stacks knows the connection, and the others would reset it.
 *
 * @returns a queue, {@link forAll} or {@link forNone}
 */
export function steer(bytes: Uint8Array, offset: number, length: number, own: number, count: number): number {
  if (length < 14 + 20) return own;
  const etherType = read16(bytes, offset + 12);
  if (etherType === etherTypeArp) return forAll;
  const packet = offset + 14;
  const end = offset + length;
  if (etherType === etherTypeIpv4) {
    const protocol = bytes[packet + 9] ?? 0;
    // More fragments, or not the first.
    if ((read16(bytes, packet + 6) & 0x3fff) !== 0) return protocol === tcp ? forNone : 0;
    return transport(bytes, packet + ((bytes[packet] ?? 0) & 15) * 4, end, protocol, own, count);
  }
  if (etherType !== etherTypeIpv6 || length < 14 + 40) return own;
  let next = bytes[packet + 6] ?? 0;
  let at = packet + 40;
  for (let step = 0; step < mostExtensions; step++) {
    // Hop-by-hop options, routing, destination options.
    if (next !== 0 && next !== 43 && next !== 60) break;
    if (at + 2 > end) return own;
    next = bytes[at] ?? 0;
    at += 8 + (bytes[at + 1] ?? 0) * 8;
  }
  if (next === 44) return at < end && bytes[at] === tcp ? forNone : 0;
  return transport(bytes, at, end, next, own, count);
}

function transport(bytes: Uint8Array, at: number, end: number, protocol: number, own: number, count: number): number {
  if (at + 4 > end) return own;
  switch (protocol) {
    case tcp:
    case udp: {
      const port = read16(bytes, at + 2);
      return port >= firstEphemeralPort ? port % count : own;
    }
    case icmp:
      return bytes[at] === echoRequest ? own : forAll;
    case icmp6:
      return bytes[at] === echoRequest6 || bytes[at] === neighbourSolicitation ? own : forAll;
    case igmp:
      return forAll;
    default:
      return 0;
  }
}

/**
 * Makes the copy of an ARP request that another queue gets an announcement (RFC 5227 §3): the sender's address is learnt,
 * and one stack answers, not all.
 */
export function announce(bytes: Uint8Array, offset: number, length: number): void {
  // Of Ethernet and IPv4: the operation is a request.
  if (length < 42 || read16(bytes, offset + 12) !== etherTypeArp || read16(bytes, offset + 20) !== 1) return;
  bytes.copyWithin(offset + 38, offset + 28, offset + 32);
}

function read16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}
