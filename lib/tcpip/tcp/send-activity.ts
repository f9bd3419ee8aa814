import { isAtLeast } from "./sequence.ts";

/** What keeps a sender from sending more: nothing to send, the path, the peer's window, its own buffer. */
export const nothingToSend = 0;
export const limitedByPath = 1;
export const limitedByPeer = 2;
export const limitedByBuffer = 3;

/**
 * How a sender spends its time, and how fast what it sends arrives: for statistics only. Made when the first byte of
 * data leaves.
 */
export class SendActivity {
  /** Milliseconds with something to send or to be acknowledged; those in it that the peer's window and the full buffer cost. */
  #busy = 0;
  #peer = 0;
  #buffer = 0;
  #state = nothingToSend;
  #since = 0;
  /** Bytes a millisecond, over the last round trip that was measured; 0 before the first. */
  deliveryRate = 0;
  /** Whether the application, not the window, set that rate. */
  applicationLimited = false;
  /** The byte whose acknowledgement ends the measurement; when it was sent, and what had been delivered by then. */
  #measuring = false;
  #markEnd = 0;
  #markAt = 0;
  #markDelivered = 0;

  /** From `now` on, what limits the sender is `state`. */
  change(state: number, now: number): void {
    if (state === this.#state) return;
    this.#add(now);
    this.#state = state;
  }

  #add(now: number): void {
    const spent = now - this.#since;
    this.#since = now;
    if (this.#state === nothingToSend) return;
    this.#busy += spent;
    if (this.#state === limitedByPeer) this.#peer += spent;
    else if (this.#state === limitedByBuffer) this.#buffer += spent;
  }

  /** Milliseconds until `now`: in all, because of the peer's window, because of our buffer. */
  times(now: number): readonly [busy: number, peer: number, buffer: number] {
    this.#add(now);
    return [this.#busy, this.#peer, this.#buffer];
  }

  /** New data up to `end` has left; `delivered` bytes had arrived by then. */
  sent(end: number, delivered: number, now: number): void {
    if (this.#measuring) return;
    this.#measuring = true;
    this.#markEnd = end;
    this.#markAt = now;
    this.#markDelivered = delivered;
  }

  /** Everything before `una` has arrived, and `delivered` bytes in all. `limited`: the window was in use. */
  acknowledged(una: number, delivered: number, limited: boolean, now: number): void {
    if (!this.#measuring || !isAtLeast(una, this.#markEnd)) return;
    this.#measuring = false;
    if (now <= this.#markAt) return;
    this.deliveryRate = (delivered - this.#markDelivered) / (now - this.#markAt);
    this.applicationLimited = !limited;
  }
}
