import type { Endpoint, IpAddress } from "./address.ts";

/** Datagrams that {@link UdpSocket.sendMany} takes at once, as Linux does (`UDP_MAX_SEGMENTS`). */
export const mostAtOnce = 64;

/** One received datagram, reused for the next: valid until the handler returns. */
export interface Datagram {
  /** The payload is `bytes[offset … offset + length)`. */
  readonly bytes: Uint8Array;
  readonly offset: number;
  readonly length: number;
  readonly source: IpAddress;
  readonly sourcePort: number;
  /** Which of our addresses it was sent to; unspecified where the target cannot tell (kernel sockets). */
  readonly destination: IpAddress;
  /** The interface it came in by, from 1; 0 where the target cannot tell (kernel sockets). */
  readonly interface: number;
}

/** A bound UDP port. */
export interface UdpSocket {
  readonly local: Endpoint;

  /**
   * Sends `bytes[offset … offset + length)`. The bytes are copied or sent before the call returns. The address may be a
   * broadcast address or a multicast group.
   *
   * @param index the interface to leave by, from 1; default or 0: the route's. Kernel sockets leave it to the kernel.
   * @returns false when the datagram was dropped at once (no route, no room, closed).
   * @throws RangeError when `length` is above 65,507 (IPv4) or `port` is not in 1–65535.
   */
  send(bytes: Uint8Array, offset: number, length: number, address: IpAddress, port: number, index?: number): boolean;

  /**
   * Sends `bytes[offset … offset + length)` to one peer as datagrams of `size` bytes, the last one perhaps shorter: what
   * `UDP_SEGMENT` is on Linux. Far cheaper than as many calls of {@link send} where a device or the kernel cuts them. None
   * goes in fragments. The bytes are copied or sent before the call returns.
   *
   * @param index as for {@link send}
   * @returns how many datagrams were sent, the first ones: fewer than there are when there was no room for more; 0 too
   * when one of them is longer than the path takes whole, as far as that is known. Kernel sockets find out later.
   * @throws RangeError when `size` is not an integer of at least 1, `length` is above 65,507 or makes more than
   * {@link mostAtOnce} datagrams, or `port` is not in 1–65535.
   */
  sendMany(
    bytes: Uint8Array,
    offset: number,
    length: number,
    size: number,
    address: IpAddress,
    port: number,
    index?: number,
  ): number;

  /**
   * Takes part in a multicast group: datagrams to it, and to this port, come from now on. Joining twice is joining once.
   *
   * @param index the interface, from 1; default or 0: the one that packets to the group leave by
   * @throws FlowError `address-not-available` when there is no such interface, or the target cannot; `exhausted` when
   * there is no room for another group; `closed`. RangeError when `group` is not a multicast address.
   */
  join(group: IpAddress, index?: number): void;

  /** Leaves what {@link join} with the same arguments joined. Harmless when it did not. `close` leaves all groups. */
  leave(group: IpAddress, index?: number): void;

  /** Stops delivery and frees the port. Idempotent. */
  close(): Promise<void>;
}

export interface UdpBindOptions {
  /** 0 or absent takes a free ephemeral port, chosen at random (RFC 6056). */
  readonly port?: number;
  /** One of our addresses; absent or unspecified is all of them. */
  readonly address?: IpAddress;
  /**
   * The one interface, from 1, that datagrams come from and leave by; default or 0: all. Where it is given, others may
   * bind the same port on another. Kernel sockets refuse it (`address-not-available`).
   */
  readonly interface?: number;
  /**
   * Lets others that want the same have the port too, as many services share 5353 (RFC 6762 §15.1): broadcasts go to all
   * of them, datagrams to a group to those that joined it, others to the one that was first. Default false.
   */
  readonly share?: boolean;
  /** Time to live or hop limit, 1–255, of what is sent. Default 64, to groups 1 (RFC 1112 §6.1). */
  readonly hopLimit?: number;
  /** Whether what we send to a group is heard by those of our own sockets that joined it. Default true. */
  readonly multicastLoopback?: boolean;
}

/** Datagrams (RFC 768). */
export interface Udp {
  /**
   * Binds a port. The handler runs once a datagram, to completion, in order of arrival; what it throws is reported by
   * the target and stops nothing.
   *
   * @throws FlowError (rejects) `address-in-use`, `address-not-available` or `permission`.
   */
  bind(options: UdpBindOptions, handler: (datagram: Datagram) => void): Promise<UdpSocket>;
}
