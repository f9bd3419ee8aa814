import type { Endpoint } from "./address.ts";

/**
 * A reliable, ordered, full-duplex byte stream: a TCP connection, a TLS session, a vchan.
 *
 * Reads and writes are independent. An error on the connection rejects what is pending and everything after it with
 * the same {@link FlowError}.
 */
export interface Flow {
  readonly local: Endpoint;
  readonly remote: Endpoint;

  /**
   * Waits for bytes and copies at most `into.length` of them to its start.
   *
   * `into` is the flow's until the promise settles. One read at a time.
   *
   * @returns how many bytes, at least 1; or 0 when the peer has finished sending, now and ever after.
   * @throws RangeError (rejects) when `into` is empty; TypeError when a read is pending; FlowError.
   */
  read(into: Uint8Array): Promise<number>;

  /**
   * Sends all of `bytes`, in the order of the calls. Resolves when the flow has taken every byte (it is in the send
   * buffer, not yet acknowledged), so that awaiting each write gives back-pressure. `bytes` is the flow's until then.
   *
   * @param more the caller is about to write more: a short last segment may wait for it, for a bounded time.
   * @throws FlowError (rejects); `closed` after {@link Flow.end}.
   */
  write(bytes: Uint8Array, more?: boolean): Promise<void>;

  /**
   * Says that no more will be written: everything written so far is delivered, then the peer reads 0. Reading goes on.
   * Resolves when the end is in the send queue. Idempotent.
   */
  end(): Promise<void>;

  /**
   * Ends, discards what still arrives, and resolves when the connection is over: gracefully, or reset after the
   * target's linger bound. A pending read rejects with `closed`. Never rejects. Idempotent.
   */
  close(): Promise<void>;

  /** Resets the connection at once and drops what is buffered. Pending calls reject with `aborted`. Idempotent. */
  abort(): void;
}

/** Why a flow, or making one, failed. */
export type FlowErrorKind =
  /** The peer has no listener there. */
  | "refused"
  /** The peer reset the connection, or the connection died of errors on the path. */
  | "reset"
  /** No answer within the time allowed. */
  | "timeout"
  /** No route, or the network says the peer cannot be reached. */
  | "unreachable"
  /** Used after it was ended or closed on this side. */
  | "closed"
  /** Aborted on this side, by {@link Flow.abort} or a signal. */
  | "aborted"
  /** The local port is taken. */
  | "address-in-use"
  /** The local address is not ours. */
  | "address-not-available"
  /** The target does not allow it (a port below 1024, say). */
  | "permission"
  /** A bound was reached: no free port, too many connections. */
  | "exhausted"
  /** The peer broke the protocol carried by this flow (TLS, say). */
  | "protocol";

/** What flows, listeners and sockets reject with. */
export class FlowError extends Error {
  override readonly name = "FlowError";
  readonly kind: FlowErrorKind;

  constructor(kind: FlowErrorKind, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.kind = kind;
  }
}
