import type { Connection } from "./connection.ts";
import type { TcpContext } from "./context.ts";
import { type HalfOpen, maxSynAckRetransmits, synAckTimeout } from "./half-open.ts";
import { timeHandshake } from "./handshake.ts";
import type { Segment } from "./segment.ts";
import { sendSynAck } from "./syn-ack.ts";
import { flagAck, flagRst, flagSyn } from "./wire.ts";

/**
 * A connection that a SYN with data has opened early (RFC 7413 §4.2.2): it counts as established, but our SYN-ACK is not
 * acknowledged, and is sent again until it is.
 */
export class EarlyOpen {
  readonly #context: TcpContext;
  readonly #connection: Connection;
  readonly #half: HalfOpen;
  /** Its place among the listener's is free again. */
  #isOver = false;

  constructor(context: TcpContext, connection: Connection, half: HalfOpen) {
    this.#context = context;
    this.#connection = connection;
    this.#half = half;
  }

  /** Sends the SYN-ACK for the first time. */
  answer(now: number): void {
    this.#half.firstSentAt = now;
    this.#half.sentAt = now;
    this.#send();
  }

  /** Sees to it that the SYN-ACK is sent again, unless the application has aborted the connection meanwhile. */
  arm(): void {
    if (this.#isOver) return;
    this.#connection.sender.armSynAck(this.#context.timers.now() + synAckTimeout(this.#half.retransmits));
  }

  /** The SYN-ACK was not acknowledged in time. @returns false when that is hopeless. */
  repeat(): boolean {
    const half = this.#half;
    if (half.retransmits === maxSynAckRetransmits) return false;
    half.retransmits++;
    half.sentAt = this.#context.timers.now();
    this.#send();
    this.arm();
    return true;
  }

  /** Whether it is the SYN that has opened the connection, once more: our answer was lost, or is late. */
  isOpenedBy({ flags, sequence }: Segment): boolean {
    return (flags & (flagSyn | flagAck | flagRst)) === flagSyn && sequence === this.#half.irs;
  }

  answerAgain(segment: Segment): void {
    if (!this.#context.responses.take(segment.time)) return;
    this.#half.answerAgain(segment);
    this.#send();
  }

  /** The peer has our SYN-ACK: nobody else has used its address. */
  completed(segment: Segment): void {
    this.free();
    this.#connection.sender.armSynAck(Infinity);
    timeHandshake(this.#connection, segment, this.#half.firstSentAt, this.#half.sentAt);
  }

  /** The peer says that it never sent that SYN. */
  reset(): void {
    this.#isOver = true;
    this.#half.listener.fastOpen?.reset(this.#context.timers.now());
  }

  /** The connection has ended, or is one like any other. */
  free(): void {
    this.#isOver = true;
    this.#half.listener.fastOpen?.free();
  }

  #send(): void {
    const { receiver } = this.#connection;
    sendSynAck(this.#context, this.#half, receiver.nxt, Math.min(65_535, receiver.window));
  }
}
