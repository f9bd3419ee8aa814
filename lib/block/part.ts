import { type Block, BlockError } from "@tesserae/device/block";
import { checkRange } from "./range.ts";

export interface BlockPartOptions {
  /** Of the whole: where the part begins. Default: 0. */
  readonly first?: number;
  /** How many. Default: all from `first` on. */
  readonly sectors?: number;
  /** Default: as the whole. */
  readonly readOnly?: boolean;
}

/**
 * Sectors of a block device as a device of their own. The whole stays the caller's: a part that is closed flushes it, and
 * does not close it.
 *
 * @throws RangeError when the part does not lie on the whole.
 */
export function blockPart(whole: Block, options: BlockPartOptions = {}): Block {
  const { first = 0, sectors = whole.sectors - first, readOnly = false } = options;
  const isInside =
    Number.isInteger(first) && first >= 0 && Number.isInteger(sectors) && first + sectors <= whole.sectors;
  if (!isInside || sectors < 1) {
    const part = `sector ${String(first)}, ${String(sectors)} long,`;
    throw new RangeError(`${part} is not on a device of ${String(whole.sectors)} sectors`);
  }
  return new BlockPart(whole, first, sectors, readOnly || whole.readOnly);
}

class BlockPart implements Block {
  readonly sectorSize: number;
  readonly sectors: number;
  readonly readOnly: boolean;
  readonly #whole: Block;
  readonly #first: number;
  #isClosed = false;

  constructor(whole: Block, first: number, sectors: number, readOnly: boolean) {
    this.sectorSize = whole.sectorSize;
    this.sectors = sectors;
    this.readOnly = readOnly;
    this.#whole = whole;
    this.#first = first;
  }

  async read(sector: number, into: Uint8Array): Promise<void> {
    checkRange(this, "into", sector, into);
    this.#checkOpen(sector);
    await this.#ask(this.#whole.read(this.#first + sector, into));
  }

  async write(sector: number, bytes: Uint8Array): Promise<void> {
    checkRange(this, "bytes", sector, bytes);
    this.#checkOpen(sector);
    if (this.readOnly) throw new BlockError("read-only", sector, "the device is read-only");
    await this.#ask(this.#whole.write(this.#first + sector, bytes));
  }

  async flush(): Promise<void> {
    this.#checkOpen(-1);
    if (!this.readOnly) await this.#ask(this.#whole.flush());
  }

  #checkOpen(sector: number): void {
    if (this.#isClosed) throw new BlockError("closed", sector, "the device is closed");
  }

  /** Sectors in errors are the part's. */
  async #ask(work: Promise<void>): Promise<void> {
    try {
      await work;
    } catch (error) {
      if (!(error instanceof BlockError) || error.sector < 0) throw error;
      throw new BlockError(error.kind, error.sector - this.#first, error.message, { cause: error });
    }
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    const flushed = this.flush();
    this.#isClosed = true;
    await flushed;
  }
}
