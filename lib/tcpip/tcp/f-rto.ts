/** F-RTO is off; has sent the first segment again; has sent something new. */
const off = 0;
const repeated = 1;
const probed = 2;

/** What the sender should do after an ACK. */
export const goOn = 0;
export const sendNew = 1;
export const wasSpurious = 2;

/**
 * F-RTO (RFC 5682): after a timeout, whether it was one. The first segment is sent again; when the next ACK moves on,
 * something new is sent instead of the rest. If then something arrives that was sent only once, nothing had been lost:
 * the path was only slow.
 */
export class ForwardRto {
  #state: 0 | 1 | 2 = off;

  get isActive(): boolean {
    return this.#state !== off;
  }

  /** The timer expired. */
  timedOut(): void {
    this.#state = repeated;
  }

  stop(): void {
    this.#state = off;
  }

  /**
   * An ACK after the timeout.
   *
   * @param advanced whether it acknowledges something new, but not everything that was out at the timeout
   * @param original whether something from before the timeout that was sent only once has arrived
   * @param duplicate whether it is a duplicate ACK, or SACKs something new
   */
  acknowledged(advanced: boolean, original: boolean, duplicate: boolean): 0 | 1 | 2 {
    if (this.#state === off) return goOn;
    if (original) {
      this.#state = off;
      return wasSpurious;
    }
    if (this.#state === probed) {
      // Step 3a: a duplicate: the segments are missing.
      if (duplicate) this.#state = off;
      return goOn;
    }
    if (advanced) {
      this.#state = probed;
      return sendNew;
    }
    if (duplicate) this.#state = off;
    return goOn;
  }
}
