import type { IpAddress } from "@tesserae/device/address";

/** How a message came: whether it may be long, and whether its source address can be believed. */
export type Transport = "udp" | "tcp" | "tls" | "https";

/** A message that the answerer does not answer by itself, and the way back to who sent it. */
export interface ExtensionRequest {
  /** The whole message, without the length that TCP puts in front. A copy: the extension may keep it. */
  readonly message: Uint8Array;
  /** 0 is a query (for AXFR or IXFR, or signed), 4 NOTIFY, 5 UPDATE. */
  readonly opcode: number;
  /** Type of the first question; 0 when there is none. */
  readonly type: number;
  /** Whether the last record of the message is a TSIG record (RFC 8945 §5.1). */
  readonly signed: boolean;
  readonly transport: Transport;
  readonly client: IpAddress;
  readonly clientPort: number;
  /** The longest message that `respond` takes, bytes. */
  readonly limit: number;

  /**
   * Sends one message back. Over UDP only the first counts. On streams the messages of a transfer go out in the order
   * of the calls, and others may go between them.
   *
   * @returns resolves when there is room for the next; false when the client is gone.
   */
  respond(message: Uint8Array): Promise<boolean>;

  /**
   * What the answerer says to `query`, a query without its TSIG record, for this client; empty when it says nothing.
   *
   * @param limit the longest answer, bytes: leave room for a signature
   */
  answer(query: Uint8Array, limit: number): Uint8Array;
}

/**
 * Takes what a name server does not answer from its zones alone: zone transfers (AXFR, IXFR), NOTIFY, UPDATE, and
 * messages signed with TSIG. The service asks the extensions in order, the first that takes a message has it.
 */
export interface Extension {
  /**
   * @returns undefined when it does not take this message (when none does, the answer is REFUSED or NOTIMP); else a
   * promise that settles when it has sent all that it sends. Rejections are logged, and the client gets SERVFAIL when
   * nothing was sent.
   */
  handle(request: ExtensionRequest): Promise<void> | undefined;
}
