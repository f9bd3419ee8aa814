import type { TcpConnectOptions, TcpListenOptions } from "@tesserae/device/tcp";
import { type CongestionName, congestionNames } from "./congestion-choice.ts";
import type { TcpLimits } from "./context.ts";
import { checkUserTimeout } from "./user-timeout.ts";

/** What only our own TCP lets one choose for a connection, or for those of a listener. */
export interface OwnTcpOptions {
  /** Default: `congestion` of the whole TCP. */
  readonly congestion?: CongestionName;
  /**
   * How long data may stay unacknowledged before the connection is given up, milliseconds. Default: `userTimeout` of the
   * whole TCP, or with `userTimeoutOption` what the peer asks for.
   */
  readonly userTimeout?: number;
}

export interface OwnConnectOptions extends TcpConnectOptions, OwnTcpOptions {
  /**
   * The interface to connect from, from 1; default: the route's. With several interfaces it says of which link a
   * link-local address is (RFC 4007 §6).
   */
  readonly interface?: number;
  /**
   * What is to be sent first (RFC 7413): with the SYN, as far as it fits, where the peer has given us a cookie earlier;
   * else as soon as the connection is there, and the peer is asked for a cookie. The peer's application may get it
   * twice, if the network doubles the SYN: for requests that may be repeated. Default: no Fast Open.
   */
  readonly fastOpen?: Uint8Array;
}
export interface OwnListenOptions extends TcpListenOptions, OwnTcpOptions {
  /**
   * How many connections may be accepted by the data of their SYN, before their handshake is complete, at a time
   * (RFC 7413): their peers have shown a cookie of ours, and what they send may come twice. 0 to 65,535. Default 0: none.
   */
  readonly fastOpen?: number;
}

/** What a connection is opened with, by either side: all choices made. */
export interface ConnectionOptions {
  readonly keepAlive: number | undefined;
  readonly noDelay: boolean;
  readonly congestion: CongestionName;
  /** Chosen by the application. */
  readonly userTimeout: number | undefined;
}

/** @throws RangeError for a choice that there is not. */
export function connectionOptions(options: OwnConnectOptions | OwnListenOptions, limits: TcpLimits): ConnectionOptions {
  const { keepAlive, noDelay = false, congestion = limits.congestion, userTimeout } = options;
  if (keepAlive !== undefined && !(keepAlive > 0)) {
    throw new RangeError(`keepAlive ${String(keepAlive)} is not above 0`);
  }
  if (userTimeout !== undefined) checkUserTimeout(userTimeout);
  checkChoice("congestion", congestion, congestionNames);
  return { keepAlive, noDelay, congestion, userTimeout };
}

/** @throws RangeError when `value` is none of `allowed`. */
export function checkChoice(name: string, value: string, allowed: readonly string[]): void {
  if (!allowed.includes(value)) throw new RangeError(`${name} "${value}" is none of ${allowed.join(", ")}`);
}
