import type { Endpoint, IpAddress } from "./address.ts";

/** One received datagram, reused for the next: valid until the handler returns. */
export interface Datagram {
  /** The payload is `bytes[offset … offset + length)`. */
  readonly bytes: Uint8Array;
  readonly offset: number;
  readonly length: number;
  readonly source: IpAddress;
  readonly sourcePort: number;
  /** Where it was sent to; unspecified when the socket is not bound to an address and the target cannot tell. */
  /** Which of our addresses it was sent to; unspecified where the target cannot tell (kernel sockets). */
  readonly destination: IpAddress;
}

/** A bound UDP port. */
export interface UdpSocket {
  readonly local: Endpoint;

  /**
   * Sends `bytes[offset … offset + length)`. The bytes are copied or sent before the call returns.
   *
   * @returns false when the datagram was dropped at once (no route, no room, closed).
   * @throws RangeError when `length` is above 65,507 (IPv4) or `port` is not in 1–65535.
   */
  send(bytes: Uint8Array, offset: number, length: number, address: IpAddress, port: number): boolean;

  /** Stops delivery and frees the port. Idempotent. */
  close(): Promise<void>;
}

export interface UdpBindOptions {
  /** 0 or absent takes a free ephemeral port, chosen at random (RFC 6056). */
  readonly port?: number;
  /** One of our addresses; absent or unspecified is all of them. */
  readonly address?: IpAddress;
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
