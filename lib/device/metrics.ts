/** A number that only grows. */
export interface Counter {
  readonly value: number;
  /** Adds `amount` (default 1, never negative). */
  add(amount?: number): void;
}

/** A number that moves. */
export interface Gauge {
  readonly value: number;
  set(value: number): void;
}

/** A distribution in fixed buckets. */
export interface Histogram {
  readonly count: number;
  readonly sum: number;
  observe(value: number): void;
}

export type Labels = Readonly<Record<string, string>>;

/**
 * The image's metrics. Asking again for the same name and labels gives the same object, so it costs nothing to keep.
 *
 * Names are `[a-z][a-z0-9_]*`; units are in the name (`http_request_bytes`).
 *
 * @throws RangeError for a bad name, for a name already used with another kind, and above the bound on series.
 */
export interface Metrics {
  counter(name: string, labels?: Labels): Counter;
  gauge(name: string, labels?: Labels): Gauge;
  /** @param buckets upper bounds, ascending; values above the last are counted in `+Inf` */
  histogram(name: string, buckets: readonly number[], labels?: Labels): Histogram;
  /** Everything in the Prometheus text format, version 0.0.4. */
  expose(): string;
}
