/**
 * Sequence numbers (RFC 9293 §3.4): integers modulo 2³², kept as signed 32-bit integers, which engines hold unboxed.
 *
 * Comparison is by the sign of the difference, so it is right for numbers less than 2³¹ apart.
 */

/** `a + length`, wrapped. */
export function add(a: number, length: number): number {
  return (a + length) | 0;
}

/** How far `a` is ahead of `b`: −2³¹ to 2³¹−1. */
export function distance(a: number, b: number): number {
  return (a - b) | 0;
}

export function isBefore(a: number, b: number): boolean {
  return ((a - b) | 0) < 0;
}

export function isAfter(a: number, b: number): boolean {
  return ((a - b) | 0) > 0;
}

export function isAtMost(a: number, b: number): boolean {
  return ((a - b) | 0) <= 0;
}

export function isAtLeast(a: number, b: number): boolean {
  return ((a - b) | 0) >= 0;
}

/** The later of the two. */
export function later(a: number, b: number): number {
  return ((a - b) | 0) > 0 ? a : b;
}
