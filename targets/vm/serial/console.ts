import { writeSync } from "node:fs";
import { Writable, type Readable } from "node:stream";
import { createConsole, type StreamConsole } from "@tesserae/node/console";

/** Bytes written in one turn of the event loop: at 115,200 baud of an emulated port some milliseconds. */
const perTurn = 4096;

export interface SerialConsoleOptions {
  /** Writes bytes at once and returns how many. Default: to the kernel's console, descriptor 1. */
  readonly write?: (bytes: Uint8Array) => number;
  /** Default: stdin of the process. */
  readonly input?: Readable;
}

/**
 * The machine's serial line, which is the kernel's console, as a `Console`.
 *
 * Each byte costs the processor an access or two to the port, so a flood of lines is written some 4 KiB a turn of the event
 * loop, that timers and packets may have theirs, and above a bound whole lines are dropped. A few lines come out at
 * once; when the program exits all that waits does.
 */
export function createSerialConsole(options: SerialConsoleOptions = {}): StreamConsole {
  const output = new PacedOutput(options.write ?? ((bytes) => writeSync(1, bytes)));
  return createConsole({ output, ...(options.input === undefined ? {} : { input: options.input }) });
}

class PacedOutput extends Writable {
  readonly #writeBytes: (bytes: Uint8Array) => number;
  readonly #nextTurn: () => void;
  readonly #flush: () => void;
  /** Bytes of this turn that are left; the last line of a turn may go beyond. */
  #left = perTurn;
  #scheduled = false;
  /** What waits for its turn. */
  #waiting: Uint8Array | undefined;
  #callback: ((error?: Error | null) => void) | undefined;

  constructor(write: (bytes: Uint8Array) => number) {
    super();
    this.#writeBytes = write;
    this.#nextTurn = () => {
      this.#scheduled = false;
      this.#left = perTurn;
      this.#continue();
    };
    this.#flush = () => {
      // From now on everything is written at once, and what the stream still holds follows.
      this.#left = Infinity;
      this.#continue();
    };
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    if (!this.#scheduled) {
      // The next turn has a budget of its own, and keeps nobody alive when nothing waits for it.
      this.#scheduled = true;
      setImmediate(this.#nextTurn).unref();
    }
    if (this.#left > 0) {
      callback(this.#writeAll(chunk));
      return;
    }
    this.#waiting = chunk;
    this.#callback = callback;
    process.once("exit", this.#flush);
  }

  #continue(): void {
    const chunk = this.#waiting;
    const callback = this.#callback;
    if (chunk === undefined) return;
    this.#waiting = undefined;
    this.#callback = undefined;
    process.off("exit", this.#flush);
    callback?.(this.#writeAll(chunk));
  }

  #writeAll(bytes: Uint8Array): Error | null {
    this.#left -= bytes.length;
    try {
      for (let done = 0; done < bytes.length;) {
        const written = this.#writeBytes(bytes.subarray(done));
        // A port that takes nothing is not waited for.
        if (written <= 0) break;
        done += written;
      }
      return null;
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  }
}
