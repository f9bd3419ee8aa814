import { maxRto } from "./rtt.ts";

/** RFC 9293 §3.8.6.2.1: how long a short segment waits for a larger window before it leaves all the same. */
export const overrideDelay = 200;

/** The intervals of zero-window probes (RFC 9293 §3.8.6.1): from the RTO on, doubling, for ever. Milliseconds. */
export class Persist {
  probes = 0;
  /** Whether the last probe has had no answer. */
  unanswered = false;

  interval(rto: number): number {
    return Math.min(maxRto, Math.max(overrideDelay, rto) * 2 ** Math.min(this.probes, 16));
  }

  probed(): void {
    this.probes++;
    this.unanswered = true;
  }

  /** The peer has spoken: its window is still shut. */
  answered(): void {
    this.unanswered = false;
  }

  /** The window has opened. */
  reset(): void {
    this.probes = 0;
    this.unanswered = false;
  }
}
