/** Unanswered probes before a connection counts as dead. */
export const maxProbes = 9;
const longestInterval = 75_000;

/** Keep-alive (RFC 9293 §3.8.4) of one connection; off unless asked for. Milliseconds. */
export class KeepAlive {
  /** Idle time before the first probe; `Infinity` is off. */
  readonly idle: number;
  /** Between probes. */
  readonly interval: number;
  probes = 0;

  /** @throws RangeError when `idle` is not above 0. */
  constructor(idle: number | undefined) {
    if (idle !== undefined && !(idle > 0)) throw new RangeError(`keepAlive ${String(idle)} is not above 0`);
    this.idle = idle ?? Infinity;
    this.interval = Math.min(this.idle, longestInterval);
  }

  /** When to act next, for a peer last heard of at `heardAt`. */
  deadline(heardAt: number): number {
    return heardAt + this.idle + this.probes * this.interval;
  }

  /** Whether every probe has gone unanswered. */
  get isDead(): boolean {
    return this.probes >= maxProbes;
  }

  probed(): void {
    this.probes++;
  }

  heard(): void {
    this.probes = 0;
  }
}
