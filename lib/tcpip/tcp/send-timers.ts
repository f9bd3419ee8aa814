import type { Timer, Timers } from "@tesserae/device/clock";
import type { LossRecovery } from "./loss-recovery.ts";
import type { Retransmission } from "./retransmission.ts";
import type { RttEstimator } from "./rtt.ts";

/** When a sender has to do each thing, milliseconds; Infinity when it has not. One timer serves the first of them. */
export class SendTimers {
  /** The retransmission timeout (RFC 6298), and the tail loss probe before it (RFC 8985 §7). */
  retransmitAt = Infinity;
  probeAt = Infinity;
  /** What may not leave, with nothing in flight, is tried all the same. */
  forceAt = Infinity;
  /** What has to wait for its turn leaves. */
  paceAt = Infinity;
  /** The SYN-ACK of a connection that was opened early is not acknowledged (RFC 7413 §4.2.2). */
  synAckAt = Infinity;
  readonly #timer: Timer;
  readonly #recovery: LossRecovery;
  readonly #retransmission: Retransmission;
  readonly #rtt: RttEstimator;

  constructor(
    timers: Timers,
    recovery: LossRecovery,
    retransmission: Retransmission,
    rtt: RttEstimator,
    expired: () => void,
  ) {
    this.#timer = timers.timer(expired);
    this.#recovery = recovery;
    this.#retransmission = retransmission;
    this.#rtt = rtt;
  }

  /** Whether something will be done in some time. */
  get armed(): boolean {
    return this.#timer.armed;
  }

  /** When something is to be done that is not pacing. */
  get next(): number {
    return Math.min(this.retransmitAt, this.probeAt, this.#recovery.reorderAt, this.forceAt, this.synAckAt);
  }

  /** For a SYN that leaves now; not beyond `deadline`. */
  setHandshake(deadline: number, now: number): void {
    this.#timer.set(Math.min(deadline, now + this.#timeout));
  }

  get #timeout(): number {
    return this.#retransmission.timeout(this.#rtt.rto);
  }

  /** The retransmission timer starts anew (RFC 6298 §5.1), and with it that of the tail loss probe. {@link set} follows. */
  restart(now: number): void {
    this.retransmitAt = now + this.#timeout;
    this.restartProbe(now);
  }

  restartProbe(now: number): void {
    const wait = this.#recovery.probeTimeout;
    // RFC 8985 §7.2: never after the retransmission timer.
    this.probeAt = wait === Infinity ? Infinity : Math.min(now + wait, this.retransmitAt);
  }

  /** What is out needs not wait for a timeout that has doubled: the path is as it was. {@link set} follows. */
  hasten(now: number): void {
    this.retransmitAt = Math.min(this.retransmitAt, now + this.#timeout);
  }

  /** After an ACK. `flight`: what is still out; `restart`: whether the retransmission timer starts anew. */
  acknowledged(now: number, flight: number, restart: boolean): void {
    if (flight === 0) {
      this.retransmitAt = Infinity;
      this.probeAt = Infinity;
    } else if (restart) {
      this.restart(now);
    } else if (this.probeAt !== Infinity && this.#recovery.probeTimeout === Infinity) {
      this.probeAt = Infinity;
    }
    this.set();
  }

  /** Sets the timer for what comes first. */
  set(): void {
    const next = Math.min(this.paceAt, this.next);
    if (next === Infinity) this.#timer.cancel();
    else if (next !== this.#timer.deadline) this.#timer.set(next);
  }

  stop(): void {
    this.paceAt = Infinity;
    this.retransmitAt = Infinity;
    this.probeAt = Infinity;
    this.forceAt = Infinity;
    this.synAckAt = Infinity;
    this.#recovery.reorderAt = Infinity;
    this.#timer.cancel();
  }
}
