/** From the least to the most important. */
export type LogLevel = "debug" | "info" | "warn" | "error";

/** Values that a log line or a metric label can carry. */
export type LogField = string | number | boolean | undefined;
export type LogFields = Readonly<Record<string, LogField>>;

/**
 * Structured log. `message` is a fixed text; what varies goes into `fields`, so that lines can be searched and counted.
 *
 * Never throws. Peers' bytes in a field come out escaped: a log line is always one line.
 */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** Whether a line of that level goes anywhere: ask before an expensive field. */
  enabled(level: LogLevel): boolean;
  /** A log whose every line names `source` (nested: `http.static`) and carries `fields`. */
  child(source: string, fields?: LogFields): Log;
}
