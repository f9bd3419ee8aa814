import type { Endpoint, IpAddress } from "./address.ts";
import type { Flow } from "./flow.ts";

export interface TcpConnectOptions {
  readonly address: IpAddress;
  /** 1–65535. */
  readonly port: number;
  /** Gives up when aborted: rejects with `aborted`. */
  readonly signal?: AbortSignal;
  /** Milliseconds until `timeout`; default: the target's (ours: the SYN retransmissions of RFC 9293 §3.8.3). */
  readonly timeout?: number;
  /** Sends keep-alive probes after this many idle milliseconds (RFC 9293 §3.8.4). Default: none. */
  readonly keepAlive?: number;
  /** Send small segments at once (turns Nagle's algorithm off). Default false. */
  readonly noDelay?: boolean;
}

export interface TcpListenOptions {
  /** 0 takes a free port. */
  readonly port: number;
  /** One of our addresses; absent or unspecified is all of them. */
  readonly address?: IpAddress;
  /** Connections that may wait for the handshake to end, 1–65535. Default 511. */
  readonly backlog?: number;
  /** As in {@link TcpConnectOptions}. */
  readonly keepAlive?: number;
  /** As in {@link TcpConnectOptions}. */
  readonly noDelay?: boolean;
}

/** A listening port. */
export interface TcpListener {
  readonly local: Endpoint;
  /** Stops accepting and frees the port. Connections already accepted go on. Idempotent. */
  close(): Promise<void>;
}

/** Connections (RFC 9293). */
export interface Tcp {
  /**
   * Opens a connection.
   *
   * @throws FlowError (rejects) `refused`, `timeout`, `unreachable`, `aborted` or `exhausted`; RangeError for a bad port.
   */
  connect(options: TcpConnectOptions): Promise<Flow>;

  /**
   * Accepts connections. `accept` gets each flow once it is established and owns it: it must end in `close` or
   * `abort`. What `accept` throws, or rejects with, aborts that flow, is reported by the target, and stops nothing.
   *
   * @throws FlowError (rejects) `address-in-use`, `address-not-available` or `permission`; RangeError for a bad port.
   */
  listen(options: TcpListenOptions, accept: (flow: Flow) => void | Promise<void>): Promise<TcpListener>;
}
