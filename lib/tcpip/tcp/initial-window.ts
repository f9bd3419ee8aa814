/** ssthresh before the first loss: no limit (RFC 5681 §3.1). */
export const initialThreshold: number = 2 ** 30;

/** RFC 6928 §2: the initial window, bytes. */
export function initialWindow(mss: number): number {
  return Math.min(10 * mss, Math.max(2 * mss, 14_600));
}

/**
 * The window after `idle` milliseconds without sending: half for each timeout that has passed, down to the initial one.
 * RFC 5681 §4.1 would fall to the initial window at once; the decay is RFC 2861's, and Linux's.
 */
export function restartWindow(window: number, mss: number, idle: number, rto: number): number {
  const least = Math.min(window, initialWindow(mss));
  return Math.max(least, Math.floor(window / 2 ** Math.min(32, Math.floor(idle / rto))));
}

/** A window for segments of `mss` bytes in place of `before`: as many segments, and no more bytes (RFC 5681 §3.1). */
export function resizeWindow(window: number, before: number, mss: number): number {
  return Math.max(mss, mss < before ? Math.floor(window / before) * mss : window);
}

/**
 * The window when a recovery ends with `flight` outstanding: the threshold, without a burst of more than an initial
 * window (RFC 6582 §3.2 step 3).
 */
export function recoveredWindow(threshold: number, flight: number, mss: number): number {
  return Math.min(threshold, flight + initialWindow(mss));
}
