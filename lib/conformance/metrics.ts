import type { Metrics } from "@tesserae/device/metrics";
import { ensure, ensureEqual, ensureThrows } from "./assert.ts";
import { ConformanceError, defineCase, type Suite } from "./suite.ts";

/** The samples of a text in the Prometheus format: name with labels → value as text. Fails on malformed lines. */
function samplesOf(text: string): Map<string, string> {
  const samples = new Map<string, string>();
  ensure(text === "" || text.endsWith("\n"), "the last line has no end");
  for (const line of text.split("\n").slice(0, -1)) {
    if (line.startsWith("#")) {
      ensure(/^# (TYPE [a-z_][a-z0-9_]* (counter|gauge|histogram)|HELP [a-z_][a-z0-9_]* .*)$/.test(line), line);
      continue;
    }
    const match = /^([a-z_][a-z0-9_]*(?:\{(?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\"n])*",?)*\})?) (\S+)$/.exec(line);
    if (match?.[1] === undefined || match[2] === undefined) throw new ConformanceError(`malformed sample: ${line}`);
    ensure(!samples.has(match[1]), `two samples ${match[1]}`);
    samples.set(match[1], match[2]);
  }
  return samples;
}

/** The contract of `Metrics`. */
export const metricsSuite: Suite<Metrics> = [
  defineCase("a counter grows", (metrics) => {
    const counter = metrics.counter("requests_total");
    ensureEqual(counter.value, 0, "at first");
    counter.add();
    counter.add(2.5);
    counter.add(0);
    ensureEqual(counter.value, 3.5, "value");
    ensureEqual(samplesOf(metrics.expose()).get("requests_total"), "3.5", "exposed");
  }),

  defineCase("a gauge moves", (metrics) => {
    const gauge = metrics.gauge("queue_length");
    gauge.set(5);
    gauge.set(-2);
    ensureEqual(gauge.value, -2, "value");
    ensureEqual(samplesOf(metrics.expose()).get("queue_length"), "-2", "exposed");
  }),

  defineCase("a histogram counts into cumulative buckets", (metrics) => {
    const histogram = metrics.histogram("request_seconds", [0.1, 1, 10]);
    for (const value of [0, 0.1, 0.2, 1, 5, 11, 1e9]) histogram.observe(value);
    ensureEqual(histogram.count, 7, "count");
    ensureEqual(histogram.sum, 0.1 + 0.2 + 1 + 5 + 11 + 1e9, "sum");
    const samples = samplesOf(metrics.expose());
    const buckets = ["0.1", "1", "10", "+Inf"].map((bound) => samples.get(`request_seconds_bucket{le="${bound}"}`));
    ensureEqual(buckets, ["2", "4", "5", "7"], "buckets");
    ensureEqual(samples.get("request_seconds_count"), "7", "count exposed");
  }),

  defineCase("the same name and labels give the same object, in any order of labels", (metrics) => {
    const one = metrics.counter("hits", { method: "GET", code: "200" });
    ensure(one === metrics.counter("hits", { code: "200", method: "GET" }), "another counter");
    ensure(one !== metrics.counter("hits", { method: "GET", code: "404" }), "one counter for two label values");
    ensure(metrics.gauge("level") === metrics.gauge("level"), "another gauge");
    ensure(metrics.histogram("sizes", [1, 2]) === metrics.histogram("sizes", [1, 2]), "another histogram");
  }),

  defineCase("labels are exposed, escaped", (metrics) => {
    metrics.counter("hits", { path: 'a"b\\c\nd' }).add(1);
    ensureEqual(samplesOf(metrics.expose()).get('hits{path="a\\"b\\\\c\\nd"}'), "1", "exposed");
  }),

  defineCase("a bad name throws RangeError", (metrics) => {
    for (const name of ["", "Requests", "9lives", "with-dash", "with space", "_x", "a\nb", "ä"]) {
      ensureThrows(() => metrics.counter(name), RangeError, JSON.stringify(name));
    }
    ensureThrows(() => metrics.counter("ok", { "bad-label": "x" }), RangeError, "a bad label name");
  }),

  defineCase("a name used with another kind throws RangeError", (metrics) => {
    metrics.counter("events");
    ensureThrows(() => metrics.gauge("events"), RangeError, "gauge");
    ensureThrows(() => metrics.histogram("events", [1]), RangeError, "histogram");
  }),

  defineCase("buckets that do not ascend, or differ from those before, throw RangeError", (metrics) => {
    ensureThrows(() => metrics.histogram("a", [2, 1]), RangeError, "descending");
    ensureThrows(() => metrics.histogram("a", [1, 1]), RangeError, "equal");
    ensureThrows(() => metrics.histogram("a", [Number.NaN]), RangeError, "NaN");
    metrics.histogram("b", [1, 2]);
    ensureThrows(() => metrics.histogram("b", [1, 3]), RangeError, "other buckets");
  }),

  defineCase("the number of series is bounded", (metrics) => {
    let made = 0;
    ensureThrows(
      () => {
        for (; made < 1_000_000; made++) metrics.counter("flood", { peer: String(made) });
      },
      RangeError,
      "a million series",
    );
    // Those that are there go on.
    metrics.counter("flood", { peer: "0" }).add(1);
    ensureEqual(metrics.counter("flood", { peer: "0" }).value, 1, "value");
  }),

  defineCase("nothing counted exposes nothing malformed", (metrics) => {
    samplesOf(metrics.expose());
    metrics.gauge("g").set(Infinity);
    metrics.gauge("h").set(Number.NaN);
    const samples = samplesOf(metrics.expose());
    ensureEqual([samples.get("g"), samples.get("h")], ["+Inf", "NaN"], "exposed");
  }),
];
