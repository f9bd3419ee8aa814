import type { Random } from "@tesserae/device/random";

/** A power of two. */
const counters = 2048;

/**
 * The identification field (RFC 6864).
 *
 * A packet that may be fragmented needs a number not used lately towards the same destination: one of many counters,
 * picked by a keyed hash, so that nobody reads off one peer's packets how much we send to another. A packet that must
 * not be fragmented needs none, so it carries a keyed hash of its destination: an ICMP error that quotes it proves that
 * its sender is on the path.
 */
export class PacketIds {
  readonly #counters = new Uint16Array(counters);
  readonly #secret0: number;
  readonly #secret1: number;

  constructor(random: Random) {
    this.#secret0 = random.uint32() | 0;
    this.#secret1 = random.uint32() | 0;
    random.fill(new Uint8Array(this.#counters.buffer));
  }

  /** For a packet that may be fragmented. */
  next(destination: number, protocol: number): number {
    const slot = this.#hash(destination, protocol) & (counters - 1);
    const id = ((this.#counters[slot] ?? 0) + 1) & 0xffff;
    this.#counters[slot] = id;
    return id;
  }

  /** Passes over those that a device gives to the packets that it makes of one. */
  skip(destination: number, protocol: number, count: number): void {
    const slot = this.#hash(destination, protocol) & (counters - 1);
    this.#counters[slot] = (this.#counters[slot] ?? 0) + count;
  }

  /** For a packet that forbids it: always the same towards one destination. */
  atomic(destination: number, protocol: number): number {
    return this.#hash(destination ^ 0x5bd1e995, protocol) >>> 16;
  }

  #hash(destination: number, protocol: number): number {
    let hash = destination ^ this.#secret0;
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
    hash ^= Math.imul(protocol + 1, 0x9e3779b1) ^ this.#secret1;
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    hash = Math.imul(hash ^ (hash >>> 16) ^ this.#secret0, 0x27d4eb2f);
    return hash ^ (hash >>> 15);
  }
}
