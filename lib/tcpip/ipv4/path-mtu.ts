/** What routers said about the size of packets (RFC 1191), with its lies bounded (RFC 5927 §7). */

/**
 * The smallest path MTU believed. RFC 1191 §3 lets it be as low as 68, but no link has needed less than 576 for
 * decades, and a forger who could set 68 would multiply our packets by twenty. A router that says less gets packets of
 * this size that it may fragment.
 */
export const leastPathMtu = 576;

/** How long an estimate is kept: then a larger one is tried (RFC 1191 §6.3). */
export const pathMtuLifetime = 600_000;

/** Sizes to try when an old router does not say which would fit (RFC 1191 §7.1), with Ethernet tunnels added. */
const plateaus = [65535, 32000, 17914, 9000, 8166, 4352, 2002, 1492, 1400, 1280, 1006, 576];

class Estimate {
  mtu = 0;
  fragmentable = false;
  expires = 0;
}

/**
 * Path MTU estimates of the destinations whose path is narrower than the link. Bounded: the oldest estimate makes room,
 * and what is forgotten is learnt again from the next packet that is too big.
 */
export class PathMtu {
  readonly #capacity: number;
  /** In order of insertion, so the first is the oldest. */
  readonly #estimates = new Map<number, Estimate>();

  constructor(capacity = 256) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#estimates.size;
  }

  /**
   * Takes in what an ICMP "fragmentation needed" said. The caller has checked that it quotes a packet of ours.
   *
   * @param reported the next hop's MTU; 0 when the router did not say
   * @param quotedLength the total length of the packet that was too big
   * @param current the MTU we assumed so far
   * @returns whether the path MTU went down. It never goes up: a longer packet that passed says more than a message.
   */
  lower(destination: number, reported: number, quotedLength: number, current: number, now: number): boolean {
    // A packet that was longer than we send cannot have been ours; one no longer than the limit was not too big.
    if (quotedLength > current || (reported !== 0 && reported >= quotedLength)) return false;
    const wanted = reported === 0 ? (plateaus.find((size) => size < quotedLength) ?? 0) : reported;
    const mtu = Math.max(wanted, leastPathMtu);
    const known = this.#estimates.get(destination);
    if (mtu >= current && (wanted >= leastPathMtu || known?.fragmentable === true)) return false;
    const estimate = known ?? new Estimate();
    if (known === undefined && this.#estimates.size >= this.#capacity) {
      for (const oldest of this.#estimates.keys()) {
        this.#estimates.delete(oldest);
        break;
      }
    }
    estimate.mtu = Math.min(mtu, current);
    estimate.fragmentable = wanted < leastPathMtu;
    estimate.expires = now + pathMtuLifetime;
    this.#estimates.set(destination, estimate);
    return true;
  }

  /** The path MTU towards `destination`, at most `link`. */
  get(destination: number, link: number, now: number): number {
    const estimate = this.#estimates.get(destination);
    if (estimate === undefined) return link;
    if (estimate.expires <= now) {
      this.#estimates.delete(destination);
      return link;
    }
    return Math.min(estimate.mtu, link);
  }

  /** Whether the path is narrower than {@link leastPathMtu}, so that packets must not forbid fragmentation. */
  mustFragment(destination: number): boolean {
    return this.#estimates.get(destination)?.fragmentable ?? false;
  }
}
