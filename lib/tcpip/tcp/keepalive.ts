/** Unanswered probes before a connection counts as dead. */
export const maxProbes = 9;
const longestInterval = 75_000;

/** Keep-alive (RFC 9293 §3.8.4) of one connection; off unless asked for. Milliseconds. */
export class KeepAlive {
  /** Idle time before the first probe; `Infinity` is off. */
  readonly idle: number;
  /** Between probes. */
  readonly interval: number;
  readonly #most: number;
  probes = 0;

  /** @throws RangeError when a time is not above 0, or `most` is no integer above 0. */
  constructor(idle: number | undefined, interval?: number, most: number = maxProbes) {
    if (idle !== undefined && !(idle > 0)) throw new RangeError(`keepAlive ${String(idle)} is not above 0`);
    if (interval !== undefined && !(interval > 0)) throw new RangeError(`interval ${String(interval)} is not above 0`);
    if (!Number.isInteger(most) || most < 1) throw new RangeError(`probes ${String(most)} is not an integer above 0`);
    this.idle = idle ?? Infinity;
    this.interval = interval ?? Math.min(this.idle, longestInterval);
    this.#most = most;
  }

  /** When to act next, for a peer last heard of at `heardAt`, after `least` milliseconds at the earliest. */
  deadline(heardAt: number, least: number): number {
    return heardAt + Math.max(this.idle, least) + this.probes * this.interval;
  }

  /** Whether every probe has gone unanswered. */
  get isDead(): boolean {
    return this.probes >= this.#most;
  }

  probed(): void {
    this.probes++;
  }

  heard(): void {
    this.probes = 0;
  }
}
