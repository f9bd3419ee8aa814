import type { Console } from "@tesserae/device/console";

/** Lines kept, the last ones. */
const lineLimit = 10_000;

interface Reader {
  take(line: string | undefined): void;
}

/** A simulated host's console: keeps what was written, and reads what the scenario types. */
export class SimConsole implements Console {
  readonly #written: (line: string) => void;
  readonly #lines: string[];
  readonly #input: string[] = [];
  readonly #readers: Reader[] = [];
  #open = false;
  #unplugged = false;

  /**
   * @param written is called with each line
   * @param before whose lines these go after: the console of the host before it crashed
   */
  constructor(written: (line: string) => void, before?: SimConsole) {
    this.#written = written;
    this.#lines = before === undefined ? [] : before.#lines;
  }

  /** Its host has crashed: nothing is written or read any more. */
  unplug(): void {
    this.#unplugged = true;
    this.#readers.length = 0;
  }

  /** What was written, the last 10,000 lines of it. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  writeLine(line: string): void {
    if (this.#unplugged) return;
    if (this.#lines.length >= lineLimit) this.#lines.splice(0, lineLimit / 10);
    this.#lines.push(line);
    this.#written(line);
  }

  /** Types lines. Until this is called for the first time there is no input: reading finds its end. */
  type(...lines: string[]): void {
    this.#open = true;
    for (const line of lines) {
      const reader = this.#readers.shift();
      if (reader === undefined) this.#input.push(line);
      else reader.take(line);
    }
  }

  /** Ends the input after what was typed. */
  endInput(): void {
    this.#open = false;
    for (const reader of this.#readers.splice(0)) reader.take(undefined);
  }

  readLine(options: { readonly signal?: AbortSignal } = {}): Promise<string | undefined> {
    const { signal } = options;
    return new Promise((resolve, reject) => {
      if (this.#unplugged) return;
      signal?.throwIfAborted();
      const line = this.#input.shift();
      if (line !== undefined || !this.#open) {
        resolve(line);
        return;
      }
      const stop = (): void => {
        this.#readers.splice(this.#readers.indexOf(reader), 1);
        // as: a signal's reason is passed on as it is
        reject(signal?.reason as Error);
      };
      const reader: Reader = {
        take(typed) {
          signal?.removeEventListener("abort", stop);
          resolve(typed);
        },
      };
      signal?.addEventListener("abort", stop, { once: true });
      this.#readers.push(reader);
    });
  }
}
