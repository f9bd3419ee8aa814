import type { Counter, Gauge, Histogram, Labels, Metrics } from "@tesserae/device/metrics";

export interface MetricsOptions {
  /** Series (names with labels) that can be made; default 10,000. A histogram counts as one. */
  readonly series?: number;
}

/**
 * The metrics of an image, in memory.
 *
 * @throws RangeError when `series` is not a positive integer.
 */
export function createMetrics(options: MetricsOptions = {}): Metrics {
  return new Registry(options.series ?? 10_000);
}

type Kind = "counter" | "gauge" | "histogram";

/** One sample name with its value, in the text format. */
interface Series {
  expose(name: string, labels: string): string;
}

class Family {
  readonly kind: Kind;
  readonly name: string;
  readonly buckets: readonly number[];
  /** By the text of its labels. */
  readonly series = new Map<string, Series>();

  constructor(kind: Kind, name: string, buckets: readonly number[]) {
    this.kind = kind;
    this.name = name;
    this.buckets = buckets;
  }
}

class Registry implements Metrics {
  readonly #most: number;
  readonly #families = new Map<string, Family>();
  #count = 0;

  constructor(most: number) {
    if (!Number.isInteger(most) || most < 1) throw new RangeError(`series ${String(most)} is not an integer above 0`);
    this.#most = most;
  }

  counter(name: string, labels: Labels = {}): Counter {
    return this.#find("counter", name, labels, [], CounterSeries, () => new CounterSeries());
  }

  gauge(name: string, labels: Labels = {}): Gauge {
    return this.#find("gauge", name, labels, [], GaugeSeries, () => new GaugeSeries());
  }

  histogram(name: string, buckets: readonly number[], labels: Labels = {}): Histogram {
    return this.#find("histogram", name, labels, buckets, HistogramSeries, () => new HistogramSeries(buckets));
  }

  expose(): string {
    const lines: string[] = [];
    const names = [...this.#families.keys()].sort();
    for (const name of names) {
      const family = this.#families.get(name);
      if (family === undefined) continue;
      lines.push(`# TYPE ${name} ${family.kind}\n`);
      for (const labels of [...family.series.keys()].sort()) {
        lines.push(family.series.get(labels)?.expose(name, labels) ?? "");
      }
    }
    return lines.join("");
  }

  #find<S extends Series>(
    kind: Kind,
    name: string,
    labels: Labels,
    buckets: readonly number[],
    type: new (buckets: readonly number[]) => S,
    make: () => S,
  ): S {
    const family = this.#families.get(name);
    if (family === undefined) {
      if (!/^[a-z][a-z0-9_]*$/.test(name) || name.length > 200)
        throw new RangeError(`name "${name}" is not a metric name`);
      this.#checkSuffix(kind, name);
      checkBuckets(buckets);
    } else if (family.kind !== kind) {
      throw new RangeError(`name "${name}" is a ${family.kind} already, not a ${kind}`);
    } else if (!isEqual(family.buckets, buckets)) {
      throw new RangeError(`buckets of "${name}" are [${family.buckets.join(", ")}] already`);
    }
    const text = labelText(kind, labels);
    const known = family?.series.get(text);
    if (known instanceof type) return known;
    if (this.#count >= this.#most) throw new RangeError(`more than ${String(this.#most)} series, at "${name}${text}"`);
    const series = make();
    const home = family ?? new Family(kind, name, [...buckets]);
    this.#families.set(name, home);
    home.series.set(text, series);
    this.#count++;
    return series;
  }

  /** A histogram's samples have names of their own, which no other metric may take. */
  #checkSuffix(kind: Kind, name: string): void {
    for (const suffix of ["_bucket", "_sum", "_count"]) {
      const base = name.endsWith(suffix) ? name.slice(0, -suffix.length) : "";
      if (
        this.#families.get(base)?.kind === "histogram" ||
        (kind === "histogram" && this.#families.has(name + suffix))
      ) {
        throw new RangeError(`name "${name}" clashes with the samples of a histogram`);
      }
    }
  }
}

class CounterSeries implements Counter, Series {
  value = 0;

  add(amount = 1): void {
    if (!(amount >= 0)) throw new RangeError(`amount ${String(amount)} is not 0 or more`);
    this.value += amount;
  }

  expose(name: string, labels: string): string {
    return `${name}${labels} ${numberText(this.value)}\n`;
  }
}

class GaugeSeries implements Gauge, Series {
  value = 0;

  set(value: number): void {
    this.value = value;
  }

  expose(name: string, labels: string): string {
    return `${name}${labels} ${numberText(this.value)}\n`;
  }
}

class HistogramSeries implements Histogram, Series {
  count = 0;
  sum = 0;
  readonly #buckets: Float64Array;
  /** Observations in each bucket by itself; the last is +Inf. */
  readonly #counts: Float64Array;

  constructor(buckets: readonly number[]) {
    this.#buckets = Float64Array.from(buckets);
    this.#counts = new Float64Array(buckets.length + 1);
  }

  observe(value: number): void {
    if (Number.isNaN(value)) throw new RangeError("value is NaN");
    let low = 0;
    let high = this.#buckets.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (value <= (this.#buckets[middle] ?? Infinity)) high = middle;
      else low = middle + 1;
    }
    this.#counts[low] = (this.#counts[low] ?? 0) + 1;
    this.count++;
    this.sum += value;
  }

  expose(name: string, labels: string): string {
    let total = 0;
    let text = "";
    for (const [index, count] of this.#counts.entries()) {
      total += count;
      const bound = `le="${numberText(this.#buckets[index] ?? Infinity)}"`;
      const all = labels === "" ? `{${bound}}` : `${labels.slice(0, -1)},${bound}}`;
      text += `${name}_bucket${all} ${String(total)}\n`;
    }
    return `${text}${name}_sum${labels} ${numberText(this.sum)}\n${name}_count${labels} ${String(this.count)}\n`;
  }
}

function checkBuckets(buckets: readonly number[]): void {
  for (const [index, bound] of buckets.entries()) {
    if (!Number.isFinite(bound) || (index > 0 && bound <= (buckets[index - 1] ?? -Infinity))) {
      throw new RangeError(`buckets [${buckets.join(", ")}] are not finite and ascending`);
    }
  }
}

function isEqual(one: readonly number[], other: readonly number[]): boolean {
  return one.length === other.length && one.every((value, index) => value === other[index]);
}

/** `{a="1",b="2"}`, in order of the names, or nothing. */
function labelText(kind: Kind, labels: Labels): string {
  const entries = Object.entries(labels);
  if (entries.length === 0) return "";
  entries.sort(([one], [other]) => (one < other ? -1 : 1));
  const parts = entries.map(([name, value]) => {
    if (!/^[a-zA-Z_]\w*$/.test(name) || name.startsWith("__") || (name === "le" && kind === "histogram")) {
      throw new RangeError(`labels have "${name}", which is not a label name`);
    }
    return `${name}="${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"`;
  });
  return `{${parts.join(",")}}`;
}

function numberText(value: number): string {
  return value === Infinity ? "+Inf" : value === -Infinity ? "-Inf" : String(value);
}
