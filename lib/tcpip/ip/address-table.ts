import type { IpAddress } from "@tesserae/device/address";
import type { Random } from "@tesserae/device/random";
import { readInt32 } from "@tesserae/wire/field";

/** A row of an {@link AddressTable}: what extends it is found by its address. */
export abstract class AddressEntry {
  readonly address: IpAddress;
  /** Private to the table: the next row with the same hash. */
  next: AddressEntry | undefined = undefined;

  constructor(address: IpAddress) {
    this.address = address;
  }
}

/**
 * From IPv6 addresses to rows. The hash is keyed, so that a peer that chooses addresses makes no more collisions than
 * chance does; a look-up allocates nothing. The owner bounds it.
 */
export class AddressTable<Entry extends AddressEntry> {
  readonly #rows = new Map<number, Entry>();
  readonly #key0: number;
  readonly #key1: number;
  #size = 0;

  constructor(random: Random) {
    this.#key0 = random.uint32() | 0;
    this.#key1 = random.uint32() | 0;
  }

  get size(): number {
    return this.#size;
  }

  get(address: IpAddress): Entry | undefined {
    let entry: AddressEntry | undefined = this.#rows.get(this.#hash(address.w0, address.w1, address.w2, address.w3));
    while (entry !== undefined && !entry.address.equals(address)) entry = entry.next;
    // as: only entries of this type are added
    return entry as Entry | undefined;
  }

  /** As `get`, with the sixteen bytes at `offset`. */
  read(bytes: Uint8Array, offset: number): Entry | undefined {
    const w0 = readInt32(bytes, offset);
    const w1 = readInt32(bytes, offset + 4);
    const w2 = readInt32(bytes, offset + 8);
    const w3 = readInt32(bytes, offset + 12);
    let entry: AddressEntry | undefined = this.#rows.get(this.#hash(w0, w1, w2, w3));
    while (entry !== undefined) {
      const { address } = entry;
      // as, twice: only entries of this type are added
      if (address.w3 === w3 && address.w2 === w2 && address.w1 === w1 && address.w0 === w0) return entry as Entry;
      entry = entry.next;
    }
    return undefined;
  }

  /** Adds a row for an address that has none. */
  add(entry: Entry): void {
    const { w0, w1, w2, w3 } = entry.address;
    const hash = this.#hash(w0, w1, w2, w3);
    entry.next = this.#rows.get(hash);
    this.#rows.set(hash, entry);
    this.#size++;
  }

  /** Harmless when it is not there. */
  remove(entry: Entry): void {
    const { w0, w1, w2, w3 } = entry.address;
    const hash = this.#hash(w0, w1, w2, w3);
    const first = this.#rows.get(hash);
    if (first === entry) {
      // as: only entries of this type are added
      const next = entry.next as Entry | undefined;
      if (next === undefined) this.#rows.delete(hash);
      else this.#rows.set(hash, next);
      this.#size--;
      return;
    }
    for (let before: AddressEntry | undefined = first; before !== undefined; before = before.next) {
      if (before.next !== entry) continue;
      before.next = entry.next;
      this.#size--;
      return;
    }
  }

  clear(): void {
    this.#rows.clear();
    this.#size = 0;
  }

  /** All rows, as they were when the call was made. */
  entries(): Entry[] {
    const all: Entry[] = [];
    for (const first of this.#rows.values()) {
      for (let entry: AddressEntry | undefined = first; entry !== undefined; entry = entry.next) {
        // as: only entries of this type are added
        all.push(entry as Entry);
      }
    }
    return all;
  }

  #hash(w0: number, w1: number, w2: number, w3: number): number {
    let hash = Math.imul(w3 ^ this.#key0, 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 15) ^ w2, 0xc2b2ae35);
    hash = Math.imul(hash ^ (hash >>> 13) ^ w1 ^ this.#key1, 0x27d4eb2f);
    hash = Math.imul(hash ^ (hash >>> 16) ^ w0, 0x9e3779b1);
    return hash ^ (hash >>> 15);
  }
}
