import { KvError, type KvEntry, type WritableKv } from "@tesserae/device/kv";
import { requireKey } from "@tesserae/kv/key";
import { createMemoryKv } from "@tesserae/kv/memory";
import { passing } from "./disk.ts";
import type { HostTimers } from "./host-timers.ts";
import type { SeededRandom } from "./random.ts";

/** A host's key-value store. */
export interface DiskStoreOptions {
  /** Milliseconds that an operation takes. Default 0.1. */
  readonly latency?: number;
  /**
   * Milliseconds from the answer to a change until it is safe from a crash, as in a file system that writes back.
   * Default 0: a change that was answered is safe.
   */
  readonly writeBack?: number;
  /** Bytes in all. Default 64 MiB. */
  readonly capacity?: number;
}

interface Change {
  readonly key: string;
  /** Undefined: it is deleted. */
  readonly bytes: Uint8Array | undefined;
}

/**
 * What a host keeps when it crashes: a store whose changes are atomic and get to the disk in their order.
 *
 * After a crash it has all changes that were safe, and of the others the first few, as the seed wants it.
 */
export class DiskStore {
  readonly #options: Required<DiskStoreOptions>;
  readonly #random: SeededRandom;
  readonly #safe = new Map<string, Uint8Array>();
  /** Changes not safe yet, those under way included, in order. */
  readonly #unsafe: Change[] = [];
  #current: WritableKv;

  /** @throws RangeError naming the option that is out of range. */
  constructor(options: DiskStoreOptions, random: SeededRandom) {
    const { latency = 0.1, writeBack = 0, capacity = 64 * 1024 * 1024 } = options;
    for (const [name, value] of Object.entries({ latency, writeBack })) {
      if (!(value >= 0 && value < Infinity)) throw new RangeError(`store.${name} ${String(value)} is not 0 or more`);
    }
    this.#options = { latency, writeBack, capacity };
    this.#random = random;
    this.#current = createMemoryKv({ capacity });
  }

  /** The store as a host sees it that lives on `timers`: once they have stopped, no operation settles or does anything. */
  attach(timers: HostTimers): WritableKv {
    return new AttachedStore(this, timers, this.#options.latency, this.#options.writeBack);
  }

  /** What can be read. Another one after each crash. */
  get current(): WritableKv {
    return this.#current;
  }

  /** A change has begun. For {@link DiskStore.attach}. */
  begin(change: Change): void {
    this.#unsafe.push(change);
  }

  /** A change was refused. */
  cancel(change: Change): void {
    const index = this.#unsafe.indexOf(change);
    if (index >= 0) this.#unsafe.splice(index, 1);
  }

  /** A change is safe from now on. */
  save(change: Change): void {
    const index = this.#unsafe.indexOf(change);
    if (index < 0) return;
    this.#unsafe.splice(index, 1);
    this.#apply(change);
  }

  /** Loses changes that were not safe, or some of them. */
  crash(): void {
    const kept = this.#random.below(this.#unsafe.length + 1);
    for (const change of this.#unsafe.slice(0, kept)) this.#apply(change);
    this.#unsafe.length = 0;
    this.#current = createMemoryKv({ capacity: this.#options.capacity });
    // These settle at once, and before anything of the host's next life: they are in memory, and fitted before.
    for (const [key, bytes] of this.#safe) void this.#current.set(key, bytes).catch(() => undefined);
  }

  #apply({ key, bytes }: Change): void {
    if (bytes === undefined) this.#safe.delete(key);
    else this.#safe.set(key, bytes);
  }
}

class AttachedStore implements WritableKv {
  readonly #store: DiskStore;
  readonly #timers: HostTimers;
  readonly #latency: number;
  readonly #writeBack: number;
  #closed = false;

  constructor(store: DiskStore, timers: HostTimers, latency: number, writeBack: number) {
    this.#store = store;
    this.#timers = timers;
    this.#latency = latency;
    this.#writeBack = writeBack;
  }

  async stat(key: string): Promise<KvEntry | undefined> {
    await this.#pass(key);
    return this.#store.current.stat(key);
  }

  async get(key: string, offset?: number, length?: number): Promise<Uint8Array | undefined> {
    await this.#pass(key);
    return this.#store.current.get(key, offset, length);
  }

  async list(prefix = ""): Promise<readonly string[]> {
    await this.#pass(prefix);
    return this.#store.current.list(prefix);
  }

  async set(key: string, bytes: Uint8Array): Promise<void> {
    const copy = bytes.slice();
    await this.#change({ key, bytes: copy }, (kv) => kv.set(key, copy));
  }

  delete(key: string): Promise<boolean> {
    return this.#change({ key, bytes: undefined }, (kv) => kv.delete(key));
  }

  close(): Promise<void> {
    this.#closed = true;
    return Promise.resolve();
  }

  async #change<T>(change: Change, apply: (kv: WritableKv) => Promise<T>): Promise<T> {
    const store = this.#store;
    requireKey(change.key);
    if (!this.#closed && !this.#timers.stopped) store.begin(change);
    try {
      await this.#pass(change.key);
      const answer = await apply(store.current);
      if (this.#writeBack > 0) void passing(this.#timers, this.#writeBack).then(() => store.save(change));
      else store.save(change);
      return answer;
    } catch (error) {
      store.cancel(change);
      throw error;
    }
  }

  async #pass(key: string): Promise<void> {
    if (this.#closed) throw new KvError("closed", key, "the store is closed");
    await passing(this.#timers, this.#latency);
  }
}
