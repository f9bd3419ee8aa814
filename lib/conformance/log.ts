import type { Log } from "@tesserae/device/log";
import { ensure, ensureEqual } from "./assert.ts";
import { defineCase, type Suite } from "./suite.ts";

/** A log that writes `info` and above. */
export interface LogSubject {
  readonly log: Log;
  /** What was written so far, a line each. */
  readonly lines: () => readonly string[];
}

/** What peers might send to forge a line, move a cursor, or turn text around. */
const hostile = "a\nb\r\tc\u001b[2Jd\u0000e\u007ff\u0085g\u2028h\u202ei\ud800j\u{e0041}k";

function ensurePlain(line: string, what: string): void {
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  ensure(!/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/.test(line), `${what}: ${JSON.stringify(line)}`);
}

/** The contract of `Log`. */
export const logSuite: Suite<LogSubject> = [
  defineCase("a call is a line with its message and fields", ({ log, lines }) => {
    log.info("request served", { path: "/index.html", status: 200, cached: true, absent: undefined });
    ensureEqual(lines().length, 1, "lines");
    const line = lines()[0] ?? "";
    for (const part of ["request served", "path", "/index.html", "status", "200", "cached", "true"]) {
      ensure(line.includes(part), `"${part}" is not in ${line}`);
    }
    ensure(!line.includes("absent"), "an undefined field was written");
  }),

  defineCase("enabled tells which levels are written", ({ log, lines }) => {
    for (const level of ["debug", "info", "warn", "error"] as const) {
      const before = lines().length;
      log[level](`a line of ${level}`);
      ensureEqual(lines().length - before, log.enabled(level) ? 1 : 0, `lines of ${level}`);
    }
    ensure(log.enabled("info") && log.enabled("error"), "info and above are enabled");
    ensure(!log.enabled("debug"), "debug is not");
  }),

  defineCase("lines come in the order of the calls", ({ log, lines }) => {
    for (let index = 0; index < 50; index++) log.info(`number ${String(index)} of many`);
    for (let index = 0; index < 50; index++) {
      ensure(lines()[index]?.includes(`number ${String(index)} of many`) === true, `line ${String(index)}`);
    }
  }),

  defineCase("peers' bytes come out escaped, on one line", ({ log, lines }) => {
    log.warn("bad request", { line: hostile, [hostile]: "key" });
    log.warn(hostile);
    log.child(hostile, { hostile }).error("from a child");
    ensureEqual(lines().length, 3, "lines");
    for (const line of lines()) ensurePlain(line, "not plain");
  }),

  defineCase("a value cannot pose as another field", ({ log, lines }) => {
    log.info("login", { user: "eve admin=true", quoted: 'x" admin="true', escape: "\\" });
    const line = lines()[0] ?? "";
    ensure(!/(^| )admin=true($| )/.test(line.replace(/"(?:[^"\\]|\\.)*"/g, '""')), `forged field in ${line}`);
    ensure(!/ admin="true/.test(line.replace(/"(?:[^"\\]|\\.)*"/g, '""')), `forged field in ${line}`);
  }),

  defineCase("a child names its source, nested, and carries its fields", ({ log, lines }) => {
    const child = log.child("http", { connection: 7 }).child("static", { host: "example.org" });
    child.info("served", { status: 404 });
    const line = lines()[0] ?? "";
    for (const part of ["http.static", "connection", "7", "host", "example.org", "status", "404", "served"]) {
      ensure(line.includes(part), `"${part}" is not in ${line}`);
    }
    log.info("plain");
    ensure(lines()[1]?.includes("http") === false, "the parent took the child's source");
    ensureEqual(child.enabled("debug"), log.enabled("debug"), "the child's level");
  }),

  defineCase("a line is bounded, whatever is logged", ({ log, lines }) => {
    log.info("x".repeat(1_000_000), { long: "\u0000".repeat(1_000_000) });
    log.info(
      "many fields",
      Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`field${String(index)}`, index])),
    );
    ensureEqual(lines().length, 2, "lines");
    for (const line of lines()) ensure(line.length <= 65_536, `a line of ${String(line.length)} characters`);
  }),

  defineCase("odd values are written, not thrown at", ({ log, lines }) => {
    log.info("", { nan: Number.NaN, infinite: -Infinity, zero: -0, empty: "", "": "empty key" });
    ensureEqual(lines().length, 1, "lines");
  }),
];
