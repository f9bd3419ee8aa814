/** Time as an argument: clocks and timers. */

/**
 * Where the time comes from.
 *
 * All instants and durations in Tesserae are milliseconds, as doubles; fractions are allowed and used.
 */
export interface Clock {
  /** Milliseconds since an arbitrary origin. Never goes back, not affected by wall-clock changes. */
  now(): number;
  /** Milliseconds since 1970-01-01T00:00:00Z, as far as the target knows. May jump. */
  wall(): number;
}

/** One deadline that can be moved for ever without allocating. Made by {@link Timers.timer}. */
export interface Timer {
  /** Whether a deadline is pending. */
  readonly armed: boolean;
  /** The pending deadline on the `now()` axis, or `Infinity`. */
  readonly deadline: number;
  /**
   * Arms the timer, replacing a pending deadline. The callback runs once, never before `deadline` and never inside
   * this call, even when `deadline` is past.
   *
   * @param deadline milliseconds on the `now()` axis; `Infinity` cancels
   * @throws RangeError when it is NaN.
   */
  set(deadline: number): void;
  /** Disarms the timer. Harmless when it is not armed. */
  cancel(): void;
}

/** A clock that can wake you. */
export interface Timers extends Clock {
  /**
   * A new disarmed timer.
   *
   * Timers with equal deadlines fire in the order in which they were set. A callback that throws does not keep the
   * other timers from firing; the target reports what it threw.
   */
  timer(callback: () => void): Timer;
}
