/**
 * Packetization layer path MTU discovery (RFC 4821, and RFC 8899 for the states): finds out from what gets through,
 * without ICMP, which segments a path takes. All sizes are bytes of payload, all times milliseconds.
 *
 * One exists only for a connection whose segments are smaller than link and peer would allow: because a router said so
 * (RFC 1191), or because full ones disappeared while smaller ones did not.
 */

/** How long a path that was found to be narrow is taken to be so (RFC 1191 §6.3, RFC 8201 §4). */
export const searchPause = 600_000;

/** Timeouts in a row that a segment longer than any before, or than one that got through, is allowed. */
const timeoutsOfUnproven = 2;
const timeoutsOfProven = 3;

/** Payloads to fall back to, with IPv4 and IPv6 (RFC 4821 §7.2, RFC 8200 §5), options of TCP not taken off. */
const fallbacks4 = [1024, 512];
const fallbacks6 = [1220];

/** Lost probes of one size that mean that it is too large: one may have been lost for another reason. */
const probesOfASize = 2;

/**
 * Packet sizes that links and tunnels have: RFC 1191 §7.1, jumbo frames, Ethernet with the headers of usual tunnels.
 * The search tries no others, so a path of another size is used up to the next one below.
 */
const commonSizes = [
  576, 1006, 1200, 1280, 1340, 1380, 1400, 1420, 1440, 1454, 1472, 1480, 1492, 1500, 2002, 2048, 4352, 4470, 8166, 9000,
  9216, 17_914, 32_000, 65_535,
];

/**
 * What a path may be narrowed to when segments of `mss` bytes have timed out `timeouts` times in a row; `mss` itself
 * when that is no reason yet, or nothing is left to try.
 *
 * @param proven the longest segment that has been acknowledged
 */
export function fallbackSize(family: 4 | 6, mss: number, proven: number, timeouts: number): number {
  if (timeouts < (mss > proven ? timeoutsOfUnproven : timeoutsOfProven)) return mss;
  const fallbacks = family === 4 ? fallbacks4 : fallbacks6;
  return fallbacks.find((size) => size < mss) ?? mss;
}

export class PathSearch {
  /** The longest that gets through. */
  low: number;
  /** The shortest that does not; `Infinity` when that is not known. And since when it is. */
  #high: number;
  #highAt = 0;
  /** No probe before then. */
  #pauseUntil: number;
  /** All is found; when the pause is over, what was too large is tried again. */
  #settled: boolean;
  /** The probe that is out, 0 without one; how many of its size were lost. */
  size = 0;
  #lost = 0;
  /** Bytes of headers of IP and TCP, with the options of a data segment. */
  readonly #overhead: number;

  /** A router has said, at `now`, that the path takes `low` at most (RFC 1191). */
  constructor(low: number, overhead: number, now: number) {
    this.low = low;
    this.#overhead = overhead;
    this.#high = Infinity;
    this.#pauseUntil = now + searchPause;
    this.#settled = true;
  }

  /** A router has said so again. */
  told(low: number, now: number): void {
    this.low = low;
    this.#pauseUntil = now + searchPause;
    this.#settled = true;
    this.size = 0;
    this.#lost = 0;
  }

  /**
   * Longer segments have disappeared; those of `low` should not. The search for more begins at once, with the largest:
   * perhaps nothing at all got through for a while.
   */
  narrowed(low: number): void {
    this.low = low;
    this.#high = Infinity;
    this.#pauseUntil = 0;
    this.#settled = false;
    this.size = 0;
    this.#lost = 0;
  }

  /** Whether {@link wanted} may ask for a probe now. */
  isDue(now: number): boolean {
    return this.size === 0 && now >= this.#pauseUntil;
  }

  /**
   * The size of the probe to send now; 0 for none.
   *
   * @param most what link, IP and peer allow
   */
  wanted(most: number, now: number): number {
    if (!this.isDue(now)) return 0;
    if (this.#settled || now - this.#highAt >= searchPause) this.#high = Infinity;
    const size = this.#candidate(most);
    this.#settled = size === 0;
    if (this.#settled) this.#pauseUntil = now + searchPause;
    return size;
  }

  /** In the middle of the sizes that may be; the largest, if nothing is known against it. */
  #candidate(most: number): number {
    const { low } = this;
    if (most <= low) return 0;
    if (most < this.#high) return most;
    let first = 0;
    let count = 0;
    for (let index = 0; index < commonSizes.length; index++) {
      const size = (commonSizes[index] ?? 0) - this.#overhead;
      if (size <= low || size >= this.#high) continue;
      if (count++ === 0) first = index;
    }
    return count === 0 ? 0 : (commonSizes[first + (count >>> 1)] ?? 0) - this.#overhead;
  }

  /** The probe has left. */
  sent(size: number): void {
    this.size = size;
  }

  /** The probe has arrived. */
  arrived(): void {
    this.low = this.size;
    this.size = 0;
    this.#lost = 0;
  }

  /** The probe was lost, or nobody can tell any more whether it was. */
  failed(now: number, roundTrip: number): void {
    if (++this.#lost >= probesOfASize) {
      this.#high = this.size;
      this.#highAt = now;
      this.#lost = 0;
    }
    this.size = 0;
    // RFC 4821 §7.5: not in the round trip in which the loss is repaired.
    this.#pauseUntil = now + 2 * roundTrip;
  }
}
