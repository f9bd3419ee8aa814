import type { Clock } from "@tesserae/device/clock";
import { type KvEntry, KvError, type WritableKv } from "@tesserae/device/kv";
import { keysBelow, requireCount, requireKey } from "./key.ts";
import { digestOf } from "./sha256.ts";

export interface MemoryKvOptions {
  /** Tells when an entry was changed; without it `modified` is absent. */
  readonly clock?: Clock;
  /** Bytes in all: of the values, two a character of the keys, and 128 an entry. Default 64 MiB. */
  readonly capacity?: number;
}

/**
 * A store in memory, gone with the image.
 *
 * @throws RangeError when `capacity` is not an integer of 0 or more.
 */
export function createMemoryKv(options: MemoryKvOptions = {}): WritableKv {
  return new MemoryKv(options);
}

/** Never changed once it is in the map: whoever got the bytes keeps them. */
class Value {
  readonly bytes: Uint8Array;
  readonly modified: number | undefined;
  #digest: string | undefined;

  constructor(bytes: Uint8Array, modified: number | undefined) {
    this.bytes = bytes;
    this.modified = modified;
  }

  get entry(): KvEntry {
    const digest = (this.#digest ??= digestOf(this.bytes));
    const size = this.bytes.length;
    return this.modified === undefined ? { size, digest } : { size, digest, modified: this.modified };
  }
}

class MemoryKv implements WritableKv {
  readonly #clock: Clock | undefined;
  readonly #capacity: number;
  readonly #values = new Map<string, Value>();
  #used = 0;
  #closed = false;

  constructor({ clock, capacity = 64 * 1024 * 1024 }: MemoryKvOptions) {
    requireCount("capacity", capacity);
    this.#clock = clock;
    this.#capacity = capacity;
  }

  async stat(key: string): Promise<KvEntry | undefined> {
    this.#check(key);
    return Promise.resolve(this.#values.get(key)?.entry);
  }

  async get(key: string, offset = 0, length?: number): Promise<Uint8Array | undefined> {
    this.#check(key);
    requireCount("offset", offset);
    if (length !== undefined) requireCount("length", length);
    const bytes = this.#values.get(key)?.bytes;
    return Promise.resolve(bytes?.subarray(offset, length === undefined ? undefined : offset + length));
  }

  async list(prefix = ""): Promise<readonly string[]> {
    this.#checkOpen(prefix);
    return Promise.resolve(keysBelow(this.#values.keys(), prefix));
  }

  async set(key: string, bytes: Uint8Array): Promise<void> {
    this.#check(key);
    const old = this.#values.get(key);
    const used = this.#used - (old === undefined ? 0 : costOf(key, old.bytes)) + costOf(key, bytes);
    if (used > this.#capacity) {
      throw new KvError("full", key, `"${key}" would make ${String(used)} bytes, above ${String(this.#capacity)}`);
    }
    this.#values.set(key, new Value(bytes.slice(), this.#clock?.wall()));
    this.#used = used;
    return Promise.resolve();
  }

  async delete(key: string): Promise<boolean> {
    this.#check(key);
    const old = this.#values.get(key);
    if (old === undefined) return Promise.resolve(false);
    this.#values.delete(key);
    this.#used -= costOf(key, old.bytes);
    return Promise.resolve(true);
  }

  close(): Promise<void> {
    this.#closed = true;
    this.#values.clear();
    return Promise.resolve();
  }

  #check(key: string): void {
    this.#checkOpen(key);
    requireKey(key);
  }

  #checkOpen(key: string): void {
    if (this.#closed) throw new KvError("closed", key, "the store is closed");
  }
}

/** What an entry takes beside its key and value, about: without it, empty values would be free. */
const entryOverhead = 128;

function costOf(key: string, bytes: Uint8Array): number {
  return entryOverhead + key.length * 2 + bytes.length;
}
