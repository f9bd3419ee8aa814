import type { Clock } from "@tesserae/device/clock";
import type { Console } from "@tesserae/device/console";
import type { Log, LogFields, LogLevel } from "@tesserae/device/log";
import { escapeText, escapeValue, truncate } from "./escape.ts";

export interface LogOptions {
  readonly console: Pick<Console, "writeLine">;
  /** Gives the time stamp: its wall clock. */
  readonly timers: Pick<Clock, "wall">;
  /** The least important level that is written; default `info`. */
  readonly level?: LogLevel;
  /** The longest line, in UTF-16 units, from 100; default 4096. Fields that do not fit are left out, and said to be. */
  readonly longestLine?: number;
}

const severity: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };
const labels: Readonly<Record<LogLevel, string>> = { debug: "debug", info: "info ", warn: "warn ", error: "error" };

/** The longest value of one field and the longest message, in UTF-16 units before escaping. */
const longestValue = 1024;
/** What stands for the fields that did not fit. */
const more = " …";

/**
 * A log that writes one line an event:
 *
 *     2026-11-21T07:31:53.125Z info  http.static: request served path=/index.html status=200
 *
 * @throws RangeError when an option is out of range.
 */
export function createLog({ console, timers, level = "info", longestLine = 4096 }: LogOptions): Log {
  if (!Object.hasOwn(severity, level)) throw new RangeError(`level "${level}" is not debug, info, warn or error`);
  if (!Number.isInteger(longestLine) || longestLine < 100) {
    throw new RangeError(`longestLine ${String(longestLine)} is not an integer from 100 on`);
  }
  return new LineLog({ console, timers, longestLine, threshold: severity[level] }, "", {});
}

interface Output {
  readonly console: Pick<Console, "writeLine">;
  readonly timers: Pick<Clock, "wall">;
  readonly threshold: number;
  readonly longestLine: number;
}

class LineLog implements Log {
  readonly #output: Output;
  readonly #source: string;
  readonly #fields: LogFields;

  constructor(output: Output, source: string, fields: LogFields) {
    this.#output = output;
    this.#source = source;
    this.#fields = fields;
  }

  debug(message: string, fields?: LogFields): void {
    this.#write("debug", message, fields);
  }

  info(message: string, fields?: LogFields): void {
    this.#write("info", message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    this.#write("warn", message, fields);
  }

  error(message: string, fields?: LogFields): void {
    this.#write("error", message, fields);
  }

  enabled(level: LogLevel): boolean {
    return severity[level] >= this.#output.threshold;
  }

  child(source: string, fields: LogFields = {}): Log {
    const path = this.#source === "" ? source : `${this.#source}.${source}`;
    return new LineLog(this.#output, path, { ...this.#fields, ...fields });
  }

  #write(level: LogLevel, message: string, fields: LogFields | undefined): void {
    if (severity[level] < this.#output.threshold) return;
    const { console, timers, longestLine } = this.#output;
    const source = this.#source === "" ? "" : `${escapeText(truncate(this.#source, 100))}: `;
    let line = `${timeStamp(timers.wall())} ${labels[level]} ${source}${escapeText(truncate(message, longestValue))}`;
    // Escapes make text longer: cut once more, at the least that is always there.
    if (line.length > longestLine - more.length) line = truncate(line, longestLine - more.length - 1);
    const all = fields === undefined ? this.#fields : { ...this.#fields, ...fields };
    for (const [key, value] of Object.entries(all)) {
      if (value === undefined) continue;
      const text = typeof value === "string" ? escapeValue(truncate(value, longestValue)) : String(value);
      const part = ` ${keyText(key)}=${text}`;
      if (line.length + part.length > longestLine - more.length) {
        line += more;
        break;
      }
      line += part;
    }
    console.writeLine(line);
  }
}

/** Letters, digits, `_`, `.` and `-`; whatever else a key has becomes `_`. */
function keyText(key: string): string {
  return truncate(key, 64).replace(/[^\w.-]/gu, "_") || "_";
}

function timeStamp(wall: number): string {
  // What a Date can hold (ECMA-262 §21.4.1.1); a clock that is wrong must not make a log throw.
  return Math.abs(wall) <= 8.64e15 ? new Date(wall).toISOString() : "time-unknown";
}
