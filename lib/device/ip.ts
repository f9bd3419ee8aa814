import type { IpAddress } from "./address.ts";
import type { Page } from "./page.ts";

/** IP protocol numbers used here (IANA "Assigned Internet Protocol Numbers"). */
export const protocolIcmp = 1;
export const protocolIgmp = 2;
export const protocolTcp = 6;
export const protocolUdp = 17;
export const protocolIcmp6 = 58;

/**
 * One received packet, reused for the next: valid until the handler returns.
 *
 * The payload is `page.bytes[offset … offset + length)`. When the packet was reassembled from fragments the page is
 * the reassembler's and the Ethernet header is not in it.
 */
export interface IpPacket {
  readonly page: Page;
  readonly offset: number;
  readonly length: number;
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly protocol: number;
  /** Time to live or hop limit, as received. */
  readonly hopLimit: number;
  /** The two ECN bits (RFC 3168 §5). */
  readonly ecn: number;
  /** Where the IP header starts in the page, for quoting it in ICMP errors. */
  readonly headerOffset: number;
  /** The interface it came in by, from 1; what we sent ourselves seems to come by the one that has the address. */
  readonly interface: number;
}

/** Takes one packet for this host. Must not throw. */
export type IpHandler = (packet: IpPacket) => void;

/** What an ICMP error says about a packet we sent (RFC 1122 §3.2.2, RFC 5927). */
export interface IpError {
  readonly kind:
    | "unreachable-network"
    | "unreachable-host"
    | "unreachable-port"
    | "prohibited"
    | "packet-too-big"
    | "time-exceeded"
    | "parameter-problem";
  /** With `packet-too-big`: the next hop's MTU in bytes, 0 when the router did not say. */
  readonly mtu: number;
  /** Who sent the error. */
  readonly reporter: IpAddress;
  /** The addresses of the packet the error quotes: its source is ours. */
  readonly source: IpAddress;
  readonly destination: IpAddress;
  /** The quoted transport header: at least 8 bytes at `bytes[offset …)`. Lent until the handler returns. */
  readonly bytes: Uint8Array;
  readonly offset: number;
  readonly length: number;
}

/** Per-packet choices. Reuse one object; nothing is kept. */
export interface IpSendOptions {
  /** The source address; default: chosen for the destination. */
  readonly source?: IpAddress | undefined;
  /** 1–255; default 64. */
  readonly hopLimit?: number;
  /** Forbid fragmentation (DF). Default false. */
  readonly dontFragment?: boolean;
  /** The two ECN bits. Default 0. */
  readonly ecn?: number;
  /**
   * The interface to leave by, from 1; default or 0: the one that the route, or the source address, says. Broadcasts and
   * multicasts need it where there are several interfaces: without it they take the first.
   */
  readonly interface?: number;
  /** Whether we hear what we send to a group that we are in. Default true. */
  readonly multicastLoopback?: boolean;
}

/**
 * The network layer: packets between addresses.
 *
 * Never delivers a packet, or an error, from inside `send`: what a host sends to itself waits for its turn.
 */
export interface Ip {
  /** Our addresses now, the preferred one first. Changes with DHCP. */
  readonly addresses: readonly IpAddress[];

  /** Whether `address` is one of ours (loopback included). */
  isLocal(address: IpAddress): boolean;

  /**
   * The source address for `destination`, or `undefined` when there is no route.
   *
   * @param index the interface to leave by, from 1; default or 0: the route's
   */
  source(destination: IpAddress, index?: number): IpAddress | undefined;

  /** The path MTU towards `destination`, in bytes, IP header included. */
  mtu(destination: IpAddress): number;

  /**
   * Sets the handler of one protocol number, replacing the one before.
   *
   * @throws RangeError when `protocol` is not an integer from 0 to 255.
   */
  listen(protocol: number, handler: IpHandler): void;

  /**
   * Sets the handler of ICMP errors about packets we sent with `protocol`, replacing the one before.
   *
   * @throws RangeError when `protocol` is not an integer from 0 to 255.
   */
  listenErrors(protocol: number, handler: (error: IpError) => void): void;

  /**
   * How many bytes of TCP payload one packet to `destination` may carry when the device is to cut it into segments
   * (`Page.segmentSize`); 0 where it does not.
   */
  segmentation(destination: IpAddress): number;

  /**
   * A page to build a payload in from `headroom` on, or `undefined` when none is free.
   *
   * @param length of the payload; default: what the link's MTU allows. More only with {@link segmentation}.
   * @param destination where the packet is to go: with several interfaces a page of the right one saves a copy
   */
  allocate(length?: number, destination?: IpAddress): Page | undefined;

  /**
   * Sends the payload `page.bytes[offset … offset + length)`, with at least `headroom` bytes free in front of it, and
   * takes the page, whatever the outcome. While the next hop is being resolved the packet waits in a bounded queue.
   *
   * With `needsChecksum` in `page.flags` the checksum field, `checksumOffset` bytes into the payload, holds the folded
   * sum of the pseudo header; the device, or this layer in its place, completes it. `checksumStart` is set here. With
   * `segmentSize`, `headerLength` is the TCP header's; this layer adds what is in front of it.
   *
   * @returns false when it was dropped at once: no route, no address, too long (for the path with `dontFragment`, or
   * for any packet), or no room.
   */
  send(
    destination: IpAddress,
    protocol: number,
    page: Page,
    offset: number,
    length: number,
    options?: IpSendOptions,
  ): boolean;

  /** Takes a page back unsent. */
  release(page: Page): void;

  /**
   * Takes part in a multicast group on an interface: packets to it come up from now on. Joins are counted; each wants a
   * {@link leave}.
   *
   * @param index the interface, from 1; default or 0: the one that packets to the group leave by
   * @returns the interface; 0 when there is no such interface, or no room for another group.
   * @throws RangeError when `group` is not a multicast address.
   */
  join(group: IpAddress, index?: number): number;

  /**
   * Takes one join back.
   *
   * @param index as {@link join} returned it
   */
  leave(group: IpAddress, index: number): void;

  /**
   * Says that the peer at `destination` has just acknowledged what we sent lately: the way there works (RFC 4861
   * §7.3.1). Absent where nobody wants to know.
   */
  confirm?(destination: IpAddress): void;
}
