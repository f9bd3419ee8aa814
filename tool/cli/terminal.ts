import process from "node:process";

/** Standard output and error of the tool: plain when piped, coloured and with a line of progress on a terminal. */
export class Terminal {
  readonly #colour: boolean;
  readonly #live: boolean;
  #progress = "";

  constructor(environment: Readonly<Record<string, string | undefined>> = process.env) {
    // A reader that goes away (a pipe to head, say) is no mistake of ours.
    for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);
    this.#live = process.stderr.isTTY && environment["TERM"] !== "dumb";
    const { NO_COLOR: plain } = environment;
    this.#colour = this.#live && (plain === undefined || plain === "");
  }

  /** Whether somebody is watching standard error. */
  get live(): boolean {
    return this.#live;
  }

  /** Writes a line of results to standard output. */
  out(line: string): void {
    this.progress("");
    process.stdout.write(`${line}\n`);
  }

  /** Writes text as it is to standard output: what an image says. */
  raw(text: string): void {
    this.progress("");
    process.stdout.write(text);
  }

  /** Writes a line to standard error. */
  error(line: string): void {
    this.progress("");
    process.stderr.write(`${this.#colour ? line.replace(/\berror:/, "\x1b[31merror:\x1b[39m") : line}\n`);
  }

  /** Writes a line about what the tool does, for a terminal only. */
  note(line: string): void {
    if (!this.#live) return;
    this.progress("");
    process.stderr.write(`${this.#colour ? `\x1b[2m${line}\x1b[22m` : line}\n`);
  }

  /** Shows what goes on until the next line is written; nothing when piped. */
  progress(text: string): void {
    if (!this.#live || text === this.#progress) return;
    process.stderr.write(`\r\x1b[K${text}`);
    this.#progress = text;
  }
}
