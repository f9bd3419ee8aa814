import { closeSync, openSync, writeSync } from "node:fs";

const bufferSize = 262_144;

/** A file written in large pieces, at once: nothing about it takes virtual time. */
export class OutputFile {
  readonly #descriptor: number;
  readonly #buffer = new Uint8Array(bufferSize);
  #used = 0;

  /** @param path `-` is standard output. Throws what `fs.openSync` throws. */
  constructor(path: string) {
    this.#descriptor = path === "-" ? 1 : openSync(path, "w");
  }

  write(bytes: Uint8Array): void {
    if (bytes.length > bufferSize - this.#used) this.flush();
    if (bytes.length > bufferSize) {
      this.#writeAll(bytes);
      return;
    }
    this.#buffer.set(bytes, this.#used);
    this.#used += bytes.length;
  }

  writeLine(line: string): void {
    this.write(Buffer.from(`${line}\n`));
  }

  flush(): void {
    this.#writeAll(this.#buffer.subarray(0, this.#used));
    this.#used = 0;
  }

  close(): void {
    this.flush();
    if (this.#descriptor !== 1) closeSync(this.#descriptor);
  }

  #writeAll(bytes: Uint8Array): void {
    for (let written = 0; written < bytes.length;) {
      try {
        written += writeSync(this.#descriptor, bytes, written);
      } catch (error) {
        // A pipe that is full for now; anything else is a real error.
        if (!(error instanceof Error && "code" in error && error.code === "EAGAIN")) throw error;
      }
    }
  }
}
