import { logSuite } from "@tesserae/conformance/log";
import { metricsSuite } from "@tesserae/conformance/metrics";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { escapeText, escapeValue, truncate } from "./escape.ts";
import { createLog, type LogOptions } from "./log.ts";
import { createMetrics } from "./metrics.ts";

function setup(options: Partial<LogOptions> = {}) {
  const lines: string[] = [];
  const console = { writeLine: (line: string) => void lines.push(line) };
  const timers = { wall: () => 1_795_246_313_125 };
  return { lines, log: createLog({ console, timers, ...options }) };
}

describe("conformance of log", () => {
  for (const each of logSuite) {
    test(each.name, async () => {
      const { log, lines } = setup();
      await each.run({ log, lines: () => lines });
    });
  }
});

describe("conformance of metrics", () => {
  for (const each of metricsSuite) test(each.name, () => each.run(createMetrics()));
});

describe("createLog", () => {
  test("writes time, level, source, message and fields", () => {
    const { log, lines } = setup({ level: "debug" });
    log.debug("starting");
    log.child("http").child("static", { connection: 7 }).info("served", { path: "/a b", status: 200, ok: true });
    log.child("tcp", { peer: "10.0.0.1", port: 1 }).error("reset", { port: 2, gone: undefined, why: 'say "x"\n' });
    expect(lines).toEqual([
      "2026-11-21T07:31:53.125Z debug starting",
      '2026-11-21T07:31:53.125Z info  http.static: served connection=7 path="/a b" status=200 ok=true',
      '2026-11-21T07:31:53.125Z error tcp: reset peer=10.0.0.1 port=2 why="say \\"x\\"\\n"',
    ]);
  });

  test("keeps to the longest line, and says when fields are left out", () => {
    const { log, lines } = setup({ longestLine: 100 });
    log.info("short", { a: "x".repeat(60), b: 1 });
    log.info("m".repeat(500), { a: 1 });
    log.info("\u0000".repeat(500));
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(100);
    expect(lines[0]).toBe("2026-11-21T07:31:53.125Z info  short …");
    expect(lines[1]!.endsWith("m… …")).toBe(true);
  });

  test("a wall clock beyond all dates does not throw", () => {
    const { log, lines } = setup({ timers: { wall: () => Infinity } });
    log.info("late");
    expect(lines).toEqual(["time-unknown info  late"]);
  });

  test("refuses options out of range", () => {
    expect(() => setup({ level: "loud" as "info" })).toThrow('level "loud"');
    expect(() => setup({ longestLine: 10 })).toThrow("longestLine 10");
  });

  test("property: every line is one plain line within the bound, and quoted values can be read back", () => {
    const text = fc.string({ unit: "binary", maxLength: 60 });
    fc.assert(
      fc.property(text, text, fc.dictionary(text, text), (source, message, fields) => {
        const { log, lines } = setup({ longestLine: 300 });
        log.child(source).warn(message, fields);
        expect(lines.length).toBe(1);
        expect(lines[0]!.length).toBeLessThanOrEqual(300);
        // eslint-disable-next-line no-control-regex -- control characters are what is looked for
        expect(lines[0]).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/);
      }),
    );
    fc.assert(
      fc.property(text, (value) => {
        const shown = escapeValue(value);
        const inner = shown.startsWith('"') ? shown.slice(1, -1) : shown;
        const read = inner.replace(/\\(?:u\{([0-9a-f]+)\}|(.))/gu, (_, code: string | undefined, plain: string) =>
          code === undefined
            ? ({ n: "\n", r: "\r", t: "\t" }[plain] ?? plain)
            : String.fromCodePoint(Number.parseInt(code, 16)),
        );
        expect(read).toBe(value);
        expect(shown.startsWith('"') || /^[^\s"=]+$/u.test(shown)).toBe(true);
      }),
    );
  });
});

test("escapes keep what is harmless as it is", () => {
  expect(escapeText("näme ☃ 😀 “x”")).toBe("näme ☃ 😀 “x”");
  expect(escapeText("a\u202eb\u{e0041}\ud800")).toBe("a\\u{202e}b\\u{e0041}\\u{d800}");
  expect(truncate("ab😀c", 3)).toBe("ab…");
  expect(truncate("ab😀", 4)).toBe("ab😀");
});

describe("createMetrics", () => {
  test("exposes families and series in order", () => {
    const metrics = createMetrics();
    metrics.gauge("b").set(1.5);
    metrics.counter("a", { x: "2" }).add();
    metrics.counter("a", { x: "1", y: "z" }).add(2);
    metrics.histogram("c", [1], { x: "1" }).observe(3);
    expect(metrics.expose()).toBe(
      [
        "# TYPE a counter",
        'a{x="1",y="z"} 2',
        'a{x="2"} 1',
        "# TYPE b gauge",
        "b 1.5",
        "# TYPE c histogram",
        'c_bucket{x="1",le="1"} 0',
        'c_bucket{x="1",le="+Inf"} 1',
        'c_sum{x="1"} 3',
        'c_count{x="1"} 1',
        "",
      ].join("\n"),
    );
  });

  test("names that a histogram's samples take are refused, both ways", () => {
    const metrics = createMetrics();
    metrics.histogram("size", [1]);
    expect(() => metrics.counter("size_count")).toThrow("clashes");
    metrics.counter("time_sum");
    expect(() => metrics.histogram("time", [1])).toThrow("clashes");
  });

  test("refuses amounts that are none", () => {
    const metrics = createMetrics({ series: 2 });
    expect(() => metrics.counter("a").add(-1)).toThrow("amount -1");
    expect(() => metrics.counter("a").add(Number.NaN)).toThrow("amount NaN");
    expect(() => metrics.histogram("h", [1]).observe(Number.NaN)).toThrow("value is NaN");
    expect(() => metrics.gauge("g")).toThrow("more than 2 series");
    expect(() => createMetrics({ series: 0 })).toThrow("series 0");
  });
});
