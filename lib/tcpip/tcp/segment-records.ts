/** Memory of scoreboards: what a sender remembers of each segment that is out. */

/** The fewest records that are taken at once; 0.3 KiB. */
const smallest = 16;
/** The most segments that one connection may have out: 1.1 MiB of records. */
export const maxSegments = 65_536;
/** Records of idle connections that are kept for the next ones. */
const keptRecords = 65_536;

/** The fields of so many segments; a power of two. */
export class SegmentRecords {
  /** The number behind the segment. It begins where the one before it ends. */
  readonly ends: Int32Array;
  /** When it was last sent, milliseconds. */
  readonly sentAt: Float64Array;
  readonly states: Uint8Array;
  /** Of a SACKed segment: how many further ones, itself included, are known to be SACKed. */
  readonly skips: Int32Array;

  constructor(capacity: number) {
    this.ends = new Int32Array(capacity);
    this.sentAt = new Float64Array(capacity);
    this.states = new Uint8Array(capacity);
    this.skips = new Int32Array(capacity);
  }

  get capacity(): number {
    return this.ends.length;
  }
}

/** Records that nobody uses: a connection with nothing in flight has none. */
export class SegmentRecordPool {
  /** By size: 16, 32, … records. */
  readonly #free: SegmentRecords[][] = [];
  #kept = 0;

  /** At least `count` records, at most {@link maxSegments}. */
  take(count: number): SegmentRecords {
    const index = Math.max(0, 32 - Math.clz32(Math.min(count, maxSegments) - 1) - 4);
    const found = this.#free[index]?.pop();
    if (found === undefined) return new SegmentRecords(smallest << index);
    this.#kept -= found.capacity;
    return found;
  }

  give(records: SegmentRecords): void {
    if (this.#kept + records.capacity > keptRecords) return;
    const index = 31 - Math.clz32(records.capacity) - 4;
    while (this.#free.length <= index) this.#free.push([]);
    this.#free[index]?.push(records);
    this.#kept += records.capacity;
  }
}
