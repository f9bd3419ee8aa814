import { open, type FileHandle } from "node:fs/promises";
import { BlockError, type Block } from "@tesserae/device/block";
import { codeOf } from "./flow-fault.ts";

export interface FileBlockOptions {
  /** A file, or a block device. */
  readonly path: string;
  /** A power of two from 512 to 4096. Default 512. */
  readonly sectorSize?: number;
  /** Creates the file when it does not exist, this many sectors long and full of zeros. */
  readonly sectors?: number;
  /** Default false. */
  readonly readOnly?: boolean;
}

/**
 * A block device in a file.
 *
 * @throws RangeError (rejects) for a bad sector size, or when the file's size is not a whole number of sectors;
 * BlockError `io` when it cannot be opened.
 */
export async function createFileBlock(options: FileBlockOptions): Promise<Block> {
  const { path, sectorSize = 512, sectors, readOnly = false } = options;
  if (![512, 1024, 2048, 4096].includes(sectorSize)) {
    throw new RangeError(`sectorSize ${String(sectorSize)} is not 512, 1024, 2048 or 4096`);
  }
  if (sectors !== undefined && !(Number.isSafeInteger(sectors * sectorSize) && sectors >= 1)) {
    throw new RangeError(`sectors ${String(sectors)} is not a number of sectors`);
  }
  const { handle, created } = await openFile(path, readOnly, sectors !== undefined);
  try {
    if (created) await handle.truncate((sectors ?? 0) * sectorSize);
    const size = await sizeOf(handle);
    if (size === 0 || size % sectorSize !== 0) {
      throw new RangeError(
        `"${path}" has ${String(size)} bytes: no whole number of ${String(sectorSize)}-byte sectors`,
      );
    }
    if (sectors !== undefined && size !== sectors * sectorSize) {
      throw new RangeError(`"${path}" has ${String(size / sectorSize)} sectors, not ${String(sectors)}`);
    }
    return new FileBlock(handle, path, sectorSize, size / sectorSize, readOnly);
  } catch (error) {
    await handle.close();
    throw error instanceof RangeError ? error : failure(error, -1, `"${path}"`);
  }
}

async function openFile(path: string, readOnly: boolean, create: boolean) {
  try {
    return { handle: await open(path, readOnly ? "r" : "r+"), created: false };
  } catch (error) {
    if (codeOf(error) !== "ENOENT" || !create || readOnly) throw failure(error, -1, `opening "${path}"`);
  }
  try {
    return { handle: await open(path, "wx+"), created: true };
  } catch (error) {
    throw failure(error, -1, `creating "${path}"`);
  }
}

/** A block device has no size in its inode: its end is found by halving. */
async function sizeOf(handle: FileHandle): Promise<number> {
  const entry = await handle.stat();
  if (!entry.isBlockDevice()) return entry.size;
  const probe = new Uint8Array(1);
  let low = 0;
  let high = 2 ** 52;
  while (low < high) {
    const middle = low + Math.floor((high - low) / 2);
    const { bytesRead } = await handle.read(probe, 0, 1, middle);
    if (bytesRead === 1) low = middle + 1;
    else high = middle;
  }
  return low;
}

class FileBlock implements Block {
  readonly sectorSize: number;
  readonly sectors: number;
  readonly readOnly: boolean;
  readonly #handle: FileHandle;
  readonly #path: string;
  #closing: Promise<void> | undefined;

  constructor(handle: FileHandle, path: string, sectorSize: number, sectors: number, readOnly: boolean) {
    this.#handle = handle;
    this.#path = path;
    this.sectorSize = sectorSize;
    this.sectors = sectors;
    this.readOnly = readOnly;
  }

  async read(sector: number, into: Uint8Array): Promise<void> {
    this.#check("into", sector, into);
    const start = sector * this.sectorSize;
    for (let filled = 0; filled < into.length;) {
      const { bytesRead } = await this.#run(sector, "reading", () =>
        this.#handle.read(into, filled, into.length - filled, start + filled),
      );
      if (bytesRead === 0) throw new BlockError("io", sector, `reading "${this.#path}": the file became shorter`);
      filled += bytesRead;
    }
  }

  async write(sector: number, bytes: Uint8Array): Promise<void> {
    this.#check("bytes", sector, bytes);
    if (this.readOnly) throw new BlockError("read-only", sector, `"${this.#path}" is open for reading only`);
    const start = sector * this.sectorSize;
    for (let done = 0; done < bytes.length;) {
      const { bytesWritten } = await this.#run(sector, "writing", () =>
        this.#handle.write(bytes, done, bytes.length - done, start + done),
      );
      done += bytesWritten;
    }
  }

  async flush(): Promise<void> {
    this.#checkOpen(-1);
    if (!this.readOnly) await this.#run(-1, "flushing", () => this.#handle.datasync());
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    try {
      if (!this.readOnly) await this.#run(-1, "flushing", () => this.#handle.datasync());
    } finally {
      await this.#handle.close();
    }
  }

  #check(argument: string, sector: number, bytes: Uint8Array): void {
    if (bytes.length === 0 || bytes.length % this.sectorSize !== 0) {
      throw new RangeError(
        `${argument} has ${String(bytes.length)} bytes: no whole number of ${String(this.sectorSize)}-byte sectors`,
      );
    }
    const count = bytes.length / this.sectorSize;
    if (!Number.isInteger(sector) || sector < 0 || sector + count > this.sectors) {
      throw new RangeError(
        `sector ${String(sector)}, ${String(count)} long, is not on a device of ${String(this.sectors)} sectors`,
      );
    }
    this.#checkOpen(sector);
  }

  #checkOpen(sector: number): void {
    if (this.#closing !== undefined) throw new BlockError("closed", sector, `"${this.#path}" is closed`);
  }

  async #run<T>(sector: number, doing: string, operation: () => Promise<T>): Promise<T> {
    try {
      return await operation();
    } catch (error) {
      throw failure(error, sector, `${doing} "${this.#path}"`);
    }
  }
}

function failure(cause: unknown, sector: number, doing: string): BlockError {
  if (cause instanceof BlockError) return cause;
  return new BlockError("io", sector, `${doing}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
}
