/**
 * A block device: numbered sectors of equal size.
 *
 * Operations may overlap in time. Two that touch the same sector, at least one of them a write, are unordered unless
 * the first was awaited. A write is durable once a later `flush` has resolved.
 */
export interface Block {
  /** Bytes in a sector: a power of two from 512 to 4096. */
  readonly sectorSize: number;
  /** How many sectors. */
  readonly sectors: number;
  readonly readOnly: boolean;

  /**
   * Fills all of `into` from `sector` on. `into` is the device's until the promise settles.
   *
   * @throws RangeError (rejects) when `into` is not a whole number of sectors, or it does not lie on the device;
   * BlockError.
   */
  read(sector: number, into: Uint8Array): Promise<void>;

  /** Writes all of `bytes` from `sector` on. Bounds and ownership as in {@link Block.read}. */
  write(sector: number, bytes: Uint8Array): Promise<void>;

  /** Resolves when every write that resolved before this call is durable. */
  flush(): Promise<void>;

  /** Flushes and frees the device. Idempotent. */
  close(): Promise<void>;
}

/** A failure of the device itself. */
export class BlockError extends Error {
  override readonly name = "BlockError";
  readonly kind: "io" | "read-only" | "closed";
  /** The first sector of the failed operation, or −1. */
  readonly sector: number;

  constructor(kind: BlockError["kind"], sector: number, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.kind = kind;
    this.sector = sector;
  }
}
