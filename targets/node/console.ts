import type { Console } from "@tesserae/device/console";
import type { Readable, Writable } from "node:stream";

/** Bytes that may wait for a slow terminal or pipe; above it whole lines are dropped. */
const outputBound = 1024 * 1024;
/** Lines read ahead of {@link Console.readLine}; above it the input is paused. */
const inputBound = 256;
/** The longest line taken from the input, in characters; the rest of it becomes a line of its own. */
const longestLine = 65_536;

export interface ConsoleOptions {
  /** Default: stdin of the process. */
  readonly input?: Readable;
  /** Default: stdout of the process. */
  readonly output?: Writable;
}

/** What {@link createConsole} makes. */
export interface StreamConsole extends Console {
  /** Lines that were not written, because the reader was too slow or is gone. */
  readonly droppedLines: number;
}

/** The console of the process. An unread input does not keep the process alive; a pending `readLine` does. */
export function createConsole(options: ConsoleOptions = {}): StreamConsole {
  return new LineConsole(options.input, options.output ?? process.stdout);
}

interface Reader {
  resolve(line: string | undefined): void;
  reject(reason: unknown): void;
}

class LineConsole implements StreamConsole {
  droppedLines = 0;
  readonly #output: Writable;
  #input: Readable | undefined;
  #started = false;
  #inputOver = false;
  #lines: string[] = [];
  #rest = "";
  #readers: Reader[] = [];
  #broken = false;

  constructor(input: Readable | undefined, output: Writable) {
    this.#input = input;
    this.#output = output;
    // The reader is gone (EPIPE): lines are dropped from now on, and nothing ends because of it.
    output.on("error", () => {
      this.#broken = true;
    });
  }

  writeLine(line: string): void {
    if (this.#broken || this.#output.writableEnded || this.#output.writableLength > outputBound) {
      this.droppedLines++;
      return;
    }
    this.#output.write(`${line}\n`);
  }

  readLine(options: { readonly signal?: AbortSignal } = {}): Promise<string | undefined> {
    const { signal } = options;
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const line = this.#lines.shift();
      if (line !== undefined) {
        resolve(line);
        return;
      }
      if (this.#inputOver) {
        resolve(undefined);
        return;
      }
      const settle = (): void => signal?.removeEventListener("abort", abort);
      const reader: Reader = {
        resolve: (next) => {
          settle();
          resolve(next);
        },
        reject: (reason) => {
          settle();
          // What an abort signal carries is passed on as it is.
          reject(reason instanceof Error ? reason : new DOMException("aborted", "AbortError"));
        },
      };
      const abort = (): void => {
        this.#readers = this.#readers.filter((each) => each !== reader);
        if (this.#readers.length === 0) this.#input?.pause();
        reader.reject(signal?.reason);
      };
      signal?.addEventListener("abort", abort, { once: true });
      this.#readers.push(reader);
      this.#start();
    });
  }

  #start(): void {
    const input = (this.#input ??= process.stdin);
    if (!this.#started) {
      this.#started = true;
      const decoder = new TextDecoder();
      input.on("data", (chunk: Buffer | string) => {
        this.#take(typeof chunk === "string" ? chunk : decoder.decode(chunk, { stream: true }));
      });
      input.once("end", () => this.#end(decoder.decode()));
      input.once("error", () => this.#end(""));
      input.once("close", () => this.#end(""));
    }
    input.resume();
  }

  #take(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.#deliver(line.endsWith("\r") ? line.slice(0, -1) : line);
    while (this.#rest.length > longestLine) {
      this.#deliver(this.#rest.slice(0, longestLine));
      this.#rest = this.#rest.slice(longestLine);
    }
    if (this.#readers.length === 0 || this.#lines.length >= inputBound) this.#input?.pause();
  }

  #deliver(line: string): void {
    const reader = this.#readers.shift();
    if (reader === undefined) this.#lines.push(line);
    else reader.resolve(line);
  }

  #end(text: string): void {
    if (this.#inputOver) return;
    this.#rest += text;
    if (this.#rest !== "") this.#deliver(this.#rest);
    this.#rest = "";
    this.#inputOver = true;
    for (const reader of this.#readers.splice(0)) reader.resolve(undefined);
  }
}
