import { type Block, BlockError } from "@tesserae/device/block";
import { checkGeometry, checkRange } from "./range.ts";

export interface MemoryBlockOptions {
  /** How many sectors, at least 1. */
  readonly sectors: number;
  /** Bytes in a sector: a power of two from 512 to 4096. Default 512. */
  readonly sectorSize?: number;
  /** What the first sectors hold; the rest is zeros. Copied. */
  readonly contents?: Uint8Array;
  /** Default false. */
  readonly readOnly?: boolean;
}

/** Bytes allocated together. */
const chunkSize = 65_536;

/**
 * A block device in memory, gone with the image. Memory is taken as sectors are written.
 *
 * @throws RangeError when an option is out of range, or `contents` is longer than the device.
 */
export function createMemoryBlock(options: MemoryBlockOptions): Block {
  return new MemoryBlock(options);
}

class MemoryBlock implements Block {
  readonly sectorSize: number;
  readonly sectors: number;
  readonly readOnly: boolean;
  /** By chunk number; a chunk that is absent holds zeros. */
  readonly #chunks = new Map<number, Uint8Array>();
  #closed = false;

  constructor({ sectors, sectorSize = 512, contents, readOnly = false }: MemoryBlockOptions) {
    checkGeometry(sectors, sectorSize);
    this.sectors = sectors;
    this.sectorSize = sectorSize;
    this.readOnly = readOnly;
    if (contents === undefined) return;
    if (contents.length > sectors * sectorSize) {
      throw new RangeError(`contents has ${String(contents.length)} bytes, more than the device`);
    }
    this.#store(0, contents);
  }

  async read(sector: number, into: Uint8Array): Promise<void> {
    checkRange(this, "into", sector, into);
    this.#checkOpen(sector);
    const start = sector * this.sectorSize;
    for (let done = 0; done < into.length;) {
      const offset = (start + done) % chunkSize;
      const length = Math.min(chunkSize - offset, into.length - done);
      const chunk = this.#chunks.get(Math.floor((start + done) / chunkSize));
      if (chunk === undefined) into.fill(0, done, done + length);
      else into.set(chunk.subarray(offset, offset + length), done);
      done += length;
    }
    return Promise.resolve();
  }

  async write(sector: number, bytes: Uint8Array): Promise<void> {
    checkRange(this, "bytes", sector, bytes);
    this.#checkOpen(sector);
    if (this.readOnly) throw new BlockError("read-only", sector, "the device is read-only");
    this.#store(sector * this.sectorSize, bytes);
    return Promise.resolve();
  }

  async flush(): Promise<void> {
    this.#checkOpen(-1);
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.#closed = true;
    this.#chunks.clear();
    return Promise.resolve();
  }

  #store(start: number, bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length;) {
      const number = Math.floor((start + done) / chunkSize);
      const offset = (start + done) % chunkSize;
      const length = Math.min(chunkSize - offset, bytes.length - done);
      let chunk = this.#chunks.get(number);
      if (chunk === undefined) {
        chunk = new Uint8Array(chunkSize);
        this.#chunks.set(number, chunk);
      }
      chunk.set(bytes.subarray(done, done + length), offset);
      done += length;
    }
  }

  #checkOpen(sector: number): void {
    if (this.#closed) throw new BlockError("closed", sector, "the device is closed");
  }
}
