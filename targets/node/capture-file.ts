import { closeSync, openSync, writeSync } from "node:fs";
import { PcapngWriter, type PcapngInterface } from "@tesserae/wire/pcapng-writer";

/** Bytes gathered before they are written: a system call for each packet would slow the packets. */
const gatherBound = 64 * 1024;
/** How long a packet may wait to be written, in milliseconds: whoever follows the file sees it soon. */
const flushInterval = 500;

/**
 * A pcapng file under way. It is whole, up to the last half second, at any time: a process that dies leaves a capture
 * that can be read.
 */
export class CaptureFile {
  readonly #fd: number;
  readonly #path: string;
  readonly #gathered = new Uint8Array(gatherBound);
  readonly #writer: PcapngWriter;
  readonly #report: (message: string) => void;
  #length = 0;
  #timer: NodeJS.Timeout | undefined;
  #broken = false;
  #closed = false;

  /**
   * Creates the file, or empties it.
   *
   * @param report gets one message when the file cannot be written any more (the disk is full); capturing stops then.
   * Default: a line on stderr
   * @throws Error of Node's (`ENOENT`, `EACCES` …) when the file cannot be created.
   */
  constructor(path: string, report: (message: string) => void = reportOnStderr) {
    this.#path = path;
    this.#report = report;
    this.#fd = openSync(path, "w");
    this.#writer = new PcapngWriter((bytes) => this.#take(bytes));
  }

  /** Declares an interface; gives its number for {@link CaptureFile.writePacket}. */
  addInterface(options: PcapngInterface): number {
    return this.#writer.addInterface(options);
  }

  /** As `PcapngWriter.writePacket`; after {@link CaptureFile.close} it does nothing. */
  writePacket(interfaceId: number, timeMs: number, bytes: Uint8Array, offset: number, length: number): void {
    if (!this.#broken && !this.#closed) this.#writer.writePacket(interfaceId, timeMs, bytes, offset, length);
  }

  /** Writes what is left, and closes. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#flush();
    this.#closed = true;
    closeSync(this.#fd);
  }

  #take(bytes: Uint8Array): void {
    if (this.#length + bytes.length > gatherBound) this.#flush();
    if (bytes.length > gatherBound) {
      this.#write(bytes);
      return;
    }
    this.#gathered.set(bytes, this.#length);
    this.#length += bytes.length;
    this.#timer ??= setTimeout(() => this.#flush(), flushInterval).unref();
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const length = this.#length;
    this.#length = 0;
    if (length > 0) this.#write(this.#gathered.subarray(0, length));
  }

  #write(bytes: Uint8Array): void {
    if (this.#broken) return;
    try {
      for (let done = 0; done < bytes.length;) done += writeSync(this.#fd, bytes, done);
    } catch (error) {
      this.#broken = true;
      this.#report(`capture file "${this.#path}": ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}

function reportOnStderr(message: string): void {
  process.stderr.write(`${message}\n`);
}
