import { type Block, BlockError } from "@tesserae/device/block";
import type { Random } from "@tesserae/device/random";
import { checkRange } from "./range.ts";

export interface BlockFaultOptions {
  /** Decides. The same numbers and the same calls give the same faults. */
  readonly random: Random;
  /** Probability from 0 to 1 that a read rejects with `io`. Default 0. */
  readonly readErrors?: number;
  /** Probability that a write rejects with `io`; some of its sectors may have been written. Default 0. */
  readonly writeErrors?: number;
  /** Probability that a flush rejects with `io`; nothing is known of what it should have made durable. Default 0. */
  readonly flushErrors?: number;
  /** Whether a crash may leave a sector half old and half new. Default false: sectors are atomic. */
  readonly tornSectors?: boolean;
  /** Unflushed sectors that are kept back; beyond, the ones longest written go to the device. Default 65,536. */
  readonly cache?: number;
}

/** A device that fails. */
export interface FaultyBlock extends Block {
  /** How many sectors were written and would be at risk in a crash. */
  readonly unflushedSectors: number;

  /**
   * Loses power. Each sector written since it was last flushed holds, afterwards, any one of the contents that it was
   * given since, or the flushed one: so writes are lost, kept out of order, or torn. Calls under way reject with `io`.
   * The device then works on, as after a restart.
   */
  crash(): Promise<void>;
}

/**
 * Wraps a device in faults: errors, and a write cache that a crash loses.
 *
 * @throws RangeError naming the option that is out of range.
 */
export function faults(inner: Block, options: BlockFaultOptions): FaultyBlock {
  return new CachedBlock(inner, options);
}

/** Contents of a sector that remain possible after a crash, beside the flushed ones; more are forgotten. */
const versionsKept = 8;

class CachedBlock implements FaultyBlock {
  readonly #inner: Block;
  readonly #random: Random;
  readonly #readErrors: number;
  readonly #writeErrors: number;
  readonly #flushErrors: number;
  readonly #tornSectors: boolean;
  readonly #cacheLimit: number;
  /** Sector → its contents since it was last flushed, the newest last. In order of the first of these writes. */
  readonly #cache = new Map<number, Uint8Array[]>();
  #crashes = 0;
  #closed = false;

  constructor(inner: Block, options: BlockFaultOptions) {
    const { random, readErrors = 0, writeErrors = 0, flushErrors = 0, tornSectors = false, cache = 65_536 } = options;
    for (const [name, value] of Object.entries({ readErrors, writeErrors, flushErrors })) {
      if (!(value >= 0 && value <= 1))
        throw new RangeError(`${name} ${String(value)} is not a probability from 0 to 1`);
    }
    if (!Number.isInteger(cache) || cache < 1) throw new RangeError(`cache ${String(cache)} is not an integer above 0`);
    this.#inner = inner;
    this.#random = random;
    this.#readErrors = readErrors;
    this.#writeErrors = writeErrors;
    this.#flushErrors = flushErrors;
    this.#tornSectors = tornSectors;
    this.#cacheLimit = cache;
  }

  get sectorSize(): number {
    return this.#inner.sectorSize;
  }

  get sectors(): number {
    return this.#inner.sectors;
  }

  get readOnly(): boolean {
    return this.#inner.readOnly;
  }

  get unflushedSectors(): number {
    return this.#cache.size;
  }

  async read(sector: number, into: Uint8Array): Promise<void> {
    const count = checkRange(this, "into", sector, into);
    this.#checkOpen(sector);
    if (this.#happens(this.#readErrors)) throw new BlockError("io", sector, "read error (injected)");
    // Before the device is asked: a write that comes meanwhile is another matter, and so is a flush.
    const cached: (Uint8Array | undefined)[] = [];
    for (let index = 0; index < count; index++) cached.push(this.#cache.get(sector + index)?.at(-1));
    await this.#survive(sector, this.#inner.read(sector, into));
    for (const [index, bytes] of cached.entries()) if (bytes !== undefined) into.set(bytes, index * this.sectorSize);
  }

  async write(sector: number, bytes: Uint8Array): Promise<void> {
    const count = checkRange(this, "bytes", sector, bytes);
    this.#checkOpen(sector);
    if (this.readOnly) throw new BlockError("read-only", sector, "the device is read-only");
    const fails = this.#happens(this.#writeErrors);
    const size = this.sectorSize;
    for (let index = 0; index < count; index++) {
      if (fails && this.#happens(0.5)) continue;
      this.#keep(sector + index, bytes.slice(index * size, (index + 1) * size));
    }
    if (fails) throw new BlockError("io", sector, "write error (injected)");
    await this.#evict(sector);
  }

  async flush(): Promise<void> {
    this.#checkOpen(-1);
    await this.#flush();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    // Later calls reject from now on, but what is cached still has to go to the device.
    this.#closed = true;
    if (!this.readOnly) await this.#flush();
    await this.#inner.close();
  }

  async crash(): Promise<void> {
    this.#crashes++;
    const size = this.sectorSize;
    const cached = [...this.#cache];
    this.#cache.clear();
    for (const [sector, versions] of cached) {
      // One of the versions, or, at −1, what is on the device.
      const kept = versions[this.#below(versions.length + 1) - 1];
      const torn = this.#tornSectors && this.#happens(0.25);
      if (kept === undefined) continue;
      if (!torn) {
        await this.#inner.write(sector, kept);
        continue;
      }
      const mixed = new Uint8Array(size);
      await this.#inner.read(sector, mixed);
      mixed.set(kept.subarray(0, this.#below(size)));
      await this.#inner.write(sector, mixed);
    }
    await this.#inner.flush();
  }

  #keep(sector: number, bytes: Uint8Array): void {
    const versions = this.#cache.get(sector);
    if (versions === undefined) {
      this.#cache.set(sector, [bytes]);
      return;
    }
    versions.push(bytes);
    if (versions.length > versionsKept) versions.shift();
  }

  /** A device may write what it caches whenever it likes. */
  async #evict(sector: number): Promise<void> {
    while (this.#cache.size > this.#cacheLimit) {
      for (const [oldest, versions] of this.#cache) {
        await this.#survive(sector, this.#settle(oldest, versions));
        break;
      }
    }
  }

  async #flush(): Promise<void> {
    const fails = this.#happens(this.#flushErrors);
    for (const [sector, versions] of [...this.#cache]) {
      // A failed flush has written some of it, and nobody knows what.
      if (fails && this.#happens(0.5)) continue;
      await this.#survive(-1, this.#settle(sector, versions));
    }
    await this.#survive(-1, this.#inner.flush());
    if (fails) throw new BlockError("io", -1, "flush error (injected)");
  }

  /** Writes a sector's newest contents, and forgets them and the older ones; newer ones may come meanwhile. */
  async #settle(sector: number, versions: Uint8Array[]): Promise<void> {
    const newest = versions.at(-1);
    const crashes = this.#crashes;
    if (newest === undefined) return;
    await this.#inner.write(sector, newest);
    if (crashes !== this.#crashes) return;
    const place = versions.indexOf(newest);
    versions.splice(0, place + 1);
    if (versions.length === 0 && this.#cache.get(sector) === versions) this.#cache.delete(sector);
  }

  /** Rejects when the power went while `operation` was under way. */
  async #survive(sector: number, operation: Promise<void>): Promise<void> {
    const crashes = this.#crashes;
    await operation;
    if (crashes !== this.#crashes) throw new BlockError("io", sector, "the device lost power");
  }

  #checkOpen(sector: number): void {
    if (this.#closed) throw new BlockError("closed", sector, "the device is closed");
  }

  #happens(probability: number): boolean {
    return probability > 0 && this.#random.uint32() < probability * 4294967296;
  }

  /** An integer from 0 to `bound` − 1. */
  #below(bound: number): number {
    return Math.floor((this.#random.uint32() / 4294967296) * bound);
  }
}
