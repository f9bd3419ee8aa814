/**
 * The page that a domain and the server share (`docs/misc/xenstore-ring.txt` of Xen): a ring of bytes each way, with
 * indices that run on, and a word for each of features, state and error. Whoever moves an index signals the event
 * channel then.
 */

/** Bytes of a ring, and of the page that holds both. */
export const ringSize = 1024;
export const pageSize = 4096;

/** Words of the page, by index of four bytes. */
const word = {
  requestConsumer: 512,
  requestProducer: 513,
  responseConsumer: 514,
  responseProducer: 515,
  features: 516,
  state: 517,
  error: 518,
} as const;

/** What a server offers, in bits. */
export const ringFeature = { reconnection: 1, error: 2 } as const;
export const ringState = { connected: 0, reconnecting: 1 } as const;
/** Why a server does not hear a domain any more. */
export const ringError = { none: 0, communication: 1, indices: 2, protocol: 3 } as const;

/**
 * One end of the page. The other end may write anything to it at any time: each index is read once, and checked.
 */
class Ring {
  protected readonly words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #inAt: number;
  readonly #inConsumer: number;
  readonly #inProducer: number;
  readonly #outAt: number;
  readonly #outConsumer: number;
  readonly #outProducer: number;

  /** @param page 4096 bytes that both ends see, aligned to four bytes */
  constructor(page: Uint8Array, isServer: boolean) {
    if (page.length < pageSize) throw new RangeError(`a page has 4096 bytes, and not ${page.length}`);
    this.#bytes = page;
    this.words = new Int32Array(page.buffer, page.byteOffset, pageSize / 4);
    this.#inAt = isServer ? 0 : ringSize;
    this.#outAt = isServer ? ringSize : 0;
    this.#inConsumer = isServer ? word.requestConsumer : word.responseConsumer;
    this.#inProducer = isServer ? word.requestProducer : word.responseProducer;
    this.#outConsumer = isServer ? word.responseConsumer : word.requestConsumer;
    this.#outProducer = isServer ? word.responseProducer : word.requestProducer;
  }

  /** Bytes that can be read; −1 when the other end's indices make no sense. */
  get readable(): number {
    return this.#between(this.#inConsumer, this.#inProducer);
  }

  /** Bytes that can be written; −1 when the other end's indices make no sense. */
  get writable(): number {
    const used = this.#between(this.#outConsumer, this.#outProducer);
    return used < 0 ? -1 : ringSize - used;
  }

  #between(consumer: number, producer: number): number {
    const count = (Atomics.load(this.words, producer) - Atomics.load(this.words, consumer)) >>> 0;
    return count > ringSize ? -1 : count;
  }

  /**
   * Copies what can be read to `into[offset …)`, without taking it: see {@link Ring.consume}.
   *
   * @returns how many bytes, at most `length`; −1 when the other end's indices make no sense
   */
  peek(into: Uint8Array, offset: number, length: number): number {
    const count = Math.min(this.readable, length);
    if (count <= 0) return count;
    const at = Atomics.load(this.words, this.#inConsumer) & (ringSize - 1);
    const first = Math.min(count, ringSize - at);
    into.set(this.#bytes.subarray(this.#inAt + at, this.#inAt + at + first), offset);
    into.set(this.#bytes.subarray(this.#inAt, this.#inAt + count - first), offset + first);
    return count;
  }

  /** Takes bytes that {@link Ring.peek} gave. */
  consume(count: number): void {
    Atomics.add(this.words, this.#inConsumer, count);
  }

  /** Writes what there is room for. @returns how many bytes; −1 when the other end's indices make no sense */
  write(bytes: Uint8Array, offset: number, length: number): number {
    const count = Math.min(this.writable, length);
    if (count <= 0) return count;
    const at = Atomics.load(this.words, this.#outProducer) & (ringSize - 1);
    const first = Math.min(count, ringSize - at);
    this.#bytes.set(bytes.subarray(offset, offset + first), this.#outAt + at);
    this.#bytes.set(bytes.subarray(offset + first, offset + count), this.#outAt);
    // The bytes are there before the index says so.
    Atomics.add(this.words, this.#outProducer, count);
    return count;
  }
}

/** The domain's end. */
export class GuestRing extends Ring {
  constructor(page: Uint8Array) {
    super(page, false);
  }

  /** What the server offers: bits of {@link ringFeature}. */
  get features(): number {
    return Atomics.load(this.words, word.features);
  }

  /** Why the server does not hear us any more, where it says so. */
  get error(): number {
    return (this.features & ringFeature.error) === 0 ? ringError.none : Atomics.load(this.words, word.error);
  }

  /** Asks for a connection from the beginning; it is there once {@link GuestRing.isConnected} is true again. */
  reconnect(): void {
    Atomics.store(this.words, word.state, ringState.reconnecting);
  }

  get isConnected(): boolean {
    return Atomics.load(this.words, word.state) === ringState.connected;
  }
}

/** The server's end. */
export class ServerRing extends Ring {
  constructor(page: Uint8Array) {
    super(page, true);
    Atomics.or(this.words, word.features, ringFeature.reconnection | ringFeature.error);
  }

  /** The domain wants to begin anew. */
  get isReconnecting(): boolean {
    return Atomics.load(this.words, word.state) === ringState.reconnecting;
  }

  /** Empties both rings and says so. */
  reset(): void {
    for (const each of [word.requestConsumer, word.requestProducer, word.responseConsumer, word.responseProducer]) {
      Atomics.store(this.words, each, 0);
    }
    Atomics.store(this.words, word.error, ringError.none);
    Atomics.store(this.words, word.state, ringState.connected);
  }

  /** Tells the domain why it is not heard any more. */
  fail(error: number): void {
    Atomics.store(this.words, word.error, error);
  }
}
