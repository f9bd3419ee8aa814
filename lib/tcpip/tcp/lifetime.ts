import type { Timer } from "@tesserae/device/clock";
import type { Connection } from "./connection.ts";
import type { TcpContext } from "./context.ts";
import { KeepAlive } from "./keepalive.ts";
import { add } from "./sequence.ts";
import * as states from "./state.ts";
import { flagAck } from "./wire.ts";

/**
 * How long an established connection lives without a word: keep-alive asks a peer that is silent (RFC 9293 §3.8.4), and
 * one whose flow is closed has the linger time to end. Milliseconds.
 */
export class Lifetime {
  readonly #context: TcpContext;
  readonly #connection: Connection;
  #keepAlive: KeepAlive;
  /** Made when first needed: many connections never do. */
  #timer: Timer | null = null;
  // A number from the start: a field that was undefined once has an object for each fraction that is put there.
  #heardAt = 0;
  /** The flow is closed: nobody reads, and the peer has until then. `Infinity` before. */
  #lingerUntil = Infinity;

  constructor(context: TcpContext, connection: Connection, keepAlive: number | undefined, now: number) {
    this.#context = context;
    this.#connection = connection;
    this.#keepAlive = new KeepAlive(keepAlive);
    this.#heardAt = now;
  }

  /** An acceptable segment has come from the peer. */
  heard(now: number): void {
    this.#heardAt = now;
    this.#keepAlive.heard();
  }

  /** Other times between probes, and number of them, from now on. @throws RangeError when one is out of range. */
  keepAlive(idle: number | undefined, interval?: number, probes?: number): void {
    this.#keepAlive = new KeepAlive(idle, interval, probes);
    if (this.#connection.state === states.closed) return;
    this.#heardAt = this.#context.timers.now();
    this.arm();
  }

  /** Whether nobody reads any more. */
  get isLingering(): boolean {
    return this.#lingerUntil !== Infinity;
  }

  /** Nobody reads any more: the peer has a bounded time to end. */
  linger(): void {
    this.#lingerUntil = this.#context.timers.now() + this.#context.limits.linger;
    this.arm();
  }

  /** Sets the timer for what comes first, if anything. */
  arm(): void {
    const deadline = Math.min(this.#lingerDeadline(), this.#keepAliveDeadline());
    if (deadline === Infinity) {
      this.#timer?.cancel();
      return;
    }
    this.#timer ??= this.#context.timers.timer(() => {
      this.#expired();
    });
    this.#timer.set(deadline);
  }

  get armed(): boolean {
    return this.#timer?.armed === true;
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #expired(): void {
    const connection = this.#connection;
    const now = this.#context.timers.now();
    if (connection.state === states.closed) return;
    if (now >= this.#lingerDeadline()) {
      connection.giveUp("reset", "the connection did not end within the linger time");
      return;
    }
    if (connection.inFlight > 0) {
      // Retransmissions find out by themselves whether the peer is there.
      this.#heardAt = Math.max(this.#heardAt, now - this.#keepAlive.idle + this.#keepAlive.interval);
    } else if (this.#keepAliveDeadline() <= now) {
      if (this.#keepAlive.isDead) {
        connection.timeOut("the peer stopped answering keep-alive probes");
        return;
      }
      this.#keepAlive.probed();
      this.#context.counters.keepAliveProbes++;
      // One number before what is expected: the peer must answer (RFC 9293 §3.8.4).
      connection.transmit(flagAck, add(connection.sender.max, -1), 0, 0);
    }
    this.arm();
  }

  #lingerDeadline(): number {
    if (this.#lingerUntil === Infinity) return Infinity;
    const { sender } = this.#connection;
    // While our data gets through, the peer is only slow; once all of it has, its own end is all that is missing.
    return sender.isFinAcknowledged
      ? this.#lingerUntil
      : Math.max(this.#lingerUntil, sender.advancedAt + this.#context.limits.linger);
  }

  #keepAliveDeadline(): number {
    // RFC 5482 §4.2: keep-alive must not end what the user timeout would let live.
    const { value, isNegotiated } = this.#connection.userTimeout;
    return this.#keepAlive.deadline(this.#heardAt, isNegotiated ? value : 0);
  }
}
