import type { IpAddress } from "@tesserae/device/address";
import type { Random } from "@tesserae/device/random";

/** What a pair of endpoints can have: see {@link DemuxEntry.kind}. */
export const kindConnection = 0;
export const kindHalfOpen = 1;
export const kindTimeWait = 2;

/** Ours and the peer's end of a connection. */
export class EndpointPair {
  readonly local: IpAddress;
  readonly localPort: number;
  readonly remote: IpAddress;
  readonly remotePort: number;

  constructor(local: IpAddress, localPort: number, remote: IpAddress, remotePort: number) {
    this.local = local;
    this.localPort = localPort;
    this.remote = remote;
    this.remotePort = remotePort;
  }

  isBetween(local: IpAddress, localPort: number, remote: IpAddress, remotePort: number): boolean {
    return (
      this.remotePort === remotePort &&
      this.localPort === localPort &&
      this.remote.equals(remote) &&
      this.local.equals(local)
    );
  }
}

/** A pair of endpoints with something between them: a row of the table. */
export abstract class DemuxEntry extends EndpointPair {
  /** Which class it is of. */
  abstract readonly kind: 0 | 1 | 2;
  /** Private to the table. */
  hash = 0;
}

/** A sum has 17 good bits: tables that are larger than that take the others from a second one. */
const narrowBits = 17;
const largestTable = 2_097_152;
const smallestTable = 64;
const keysOfSum = 19;

/**
 * From two endpoints to what there is between them: open addressing with linear probing, at most half full, in arrays
 * that are only replaced when it grows or shrinks; a look-up allocates nothing.
 *
 * The hash is multilinear over 16-bit characters with secret keys (Lemire, Kaser 2014): strongly universal, so a peer
 * that chooses addresses and ports without knowing the keys makes no more collisions than chance does.
 */
export class Demux {
  /** How many entries it takes. */
  readonly capacity: number;
  #slots: (DemuxEntry | null)[];
  #mask: number;
  #size = 0;
  /** Of the first sum, then of the second. */
  readonly #keys = new Int32Array(2 * keysOfSum);
  /** The entry found last: in bulk transfer the next segment is for it, too. */
  #last: DemuxEntry | null = null;

  /** @throws RangeError when `capacity` is not an integer from 1 to 1,048,576. */
  constructor(random: Random, capacity: number) {
    if (!Number.isInteger(capacity) || capacity < 1 || capacity > largestTable / 2) {
      throw new RangeError(`capacity ${String(capacity)} is not an integer from 1 to ${String(largestTable / 2)}`);
    }
    this.capacity = capacity;
    for (let index = 0; index < this.#keys.length; index++) this.#keys[index] = random.uint32();
    this.#slots = new Array<DemuxEntry | null>(smallestTable).fill(null);
    this.#mask = smallestTable - 1;
  }

  get size(): number {
    return this.#size;
  }

  get isFull(): boolean {
    return this.#size >= this.capacity;
  }

  find(local: IpAddress, localPort: number, remote: IpAddress, remotePort: number): DemuxEntry | null {
    const last = this.#last;
    if (last !== null && last.isBetween(local, localPort, remote, remotePort)) return last;
    const hash = this.#hash(local, localPort, remote, remotePort);
    for (let at = hash & this.#mask; ; at = (at + 1) & this.#mask) {
      const entry = this.#slots[at] ?? null;
      if (entry === null) return null;
      if (entry.hash === hash && entry.isBetween(local, localPort, remote, remotePort)) {
        this.#last = entry;
        return entry;
      }
    }
  }

  /** Adds an entry whose endpoints are free. @returns false when the table is full. */
  insert(entry: DemuxEntry): boolean {
    if (this.isFull) return false;
    if ((this.#size + 1) * 2 > this.#slots.length) this.#resize(this.#slots.length * 2);
    entry.hash = this.#hash(entry.local, entry.localPort, entry.remote, entry.remotePort);
    this.#place(entry);
    this.#size++;
    return true;
  }

  /** Puts `entry` in the place of `old`, which has the same endpoints. */
  replace(old: DemuxEntry, entry: DemuxEntry): void {
    entry.hash = old.hash;
    const at = this.#indexOf(old);
    if (at >= 0) this.#slots[at] = entry;
    if (this.#last === old) this.#last = null;
  }

  /** Harmless when the entry is not in the table. */
  remove(entry: DemuxEntry): void {
    let hole = this.#indexOf(entry);
    if (hole < 0) return;
    if (this.#last === entry) this.#last = null;
    const slots = this.#slots;
    const mask = this.#mask;
    // Closes the gap: what was pushed past it moves back, so that look-ups need no tombstones.
    for (let at = (hole + 1) & mask; ; at = (at + 1) & mask) {
      const next = slots[at] ?? null;
      if (next === null) break;
      const home = next.hash & mask;
      if (((at - home) & mask) >= ((at - hole) & mask)) {
        slots[hole] = next;
        hole = at;
      }
    }
    slots[hole] = null;
    this.#size--;
    if (slots.length > smallestTable && this.#size * 8 < slots.length) this.#resize(slots.length / 2);
  }

  /** All entries, as they were when the call was made. */
  entries(): DemuxEntry[] {
    return this.#slots.filter((entry) => entry !== null);
  }

  #indexOf(entry: DemuxEntry): number {
    for (let at = entry.hash & this.#mask; ; at = (at + 1) & this.#mask) {
      const found = this.#slots[at] ?? null;
      if (found === entry) return at;
      if (found === null) return -1;
    }
  }

  #place(entry: DemuxEntry): void {
    let at = entry.hash & this.#mask;
    while ((this.#slots[at] ?? null) !== null) at = (at + 1) & this.#mask;
    this.#slots[at] = entry;
  }

  #resize(length: number): void {
    const old = this.#slots;
    const isNewHash = length >> narrowBits > 1 !== old.length >> narrowBits > 1;
    this.#slots = new Array<DemuxEntry | null>(length).fill(null);
    this.#mask = length - 1;
    for (const entry of old) {
      if (entry === null) continue;
      if (isNewHash) entry.hash = this.#hash(entry.local, entry.localPort, entry.remote, entry.remotePort);
      this.#place(entry);
    }
  }

  #hash(local: IpAddress, localPort: number, remote: IpAddress, remotePort: number): number {
    // The high bits are the universal ones.
    const low = this.#sum(0, local, localPort, remote, remotePort) >>> (32 - narrowBits);
    if (this.#mask >> narrowBits === 0) return low;
    return low | ((this.#sum(keysOfSum, local, localPort, remote, remotePort) >>> 28) << narrowBits);
  }

  #sum(key: number, local: IpAddress, localPort: number, remote: IpAddress, remotePort: number): number {
    const keys = this.#keys;
    let sum =
      (keys[key] ?? 0) +
      Math.imul(keys[key + 1] ?? 0, localPort) +
      Math.imul(keys[key + 2] ?? 0, remotePort) +
      this.#word(remote.w3, key + 3) +
      this.#word(local.w3, key + 5);
    if (remote.family === 6) {
      sum += this.#word(remote.w0, key + 7) + this.#word(remote.w1, key + 9) + this.#word(remote.w2, key + 11);
      sum += this.#word(local.w0, key + 13) + this.#word(local.w1, key + 15) + this.#word(local.w2, key + 17);
    }
    return sum | 0;
  }

  #word(word: number, key: number): number {
    return Math.imul(this.#keys[key] ?? 0, word >>> 16) + Math.imul(this.#keys[key + 1] ?? 0, word & 0xffff);
  }
}
