/** The operator's terminal: lines out, lines in. */
export interface Console {
  /** Writes `line` and a line end. Never throws and never blocks; may drop under pressure, never part of a line. */
  writeLine(line: string): void;

  /** The next line of input without its end, or `undefined` at the end of input and on targets without any. */
  readLine(options?: { readonly signal?: AbortSignal }): Promise<string | undefined>;
}
