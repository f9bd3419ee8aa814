/**
 * The ring of requests and responses that a front and a back end share (Xen's `io/ring.h`): four indices that run on,
 * then entries, a power of two of them, each first a request and then the response in its place.
 *
 * Each end keeps its own indices to itself, and of the other's takes nothing without a check. Entries are read and
 * written by whoever uses the ring, at the offsets given; the other end may change them at any time, so each field is
 * read once. Nothing is allocated after the constructor.
 */

/** The shared indices, in words of 32 bits (little-endian). */
const requestProducer = 0;
const requestEvent = 1;
const responseProducer = 2;
const responseEvent = 3;

/** Bytes in front of the first entry. */
export const ringHeader = 64;

/** How many entries of `entrySize` bytes a ring of `bytes` bytes has: a power of two. */
export function ringCapacity(bytes: number, entrySize: number): number {
  return 2 ** Math.floor(Math.log2((bytes - ringHeader) / entrySize));
}

function check(bytes: Uint8Array, entrySize: number): number {
  const capacity = ringCapacity(bytes.length, entrySize);
  if (!(capacity >= 1)) throw new RangeError(`a ring of ${bytes.length} bytes has no room for an entry`);
  return capacity;
}

/** The end that sends requests. */
export class FrontRing {
  /** The memory that both ends see: offsets of entries are into it. */
  readonly bytes: Uint8Array;
  readonly capacity: number;
  readonly #entrySize: number;
  readonly #indices: Int32Array;
  /** All indices are kept as signed 32-bit integers. */
  #requests: number;
  #responses: number;

  /**
   * Sets up the shared memory.
   *
   * @param bytes whole pages, one after the other
   * @param entrySize bytes of an entry: of the longer of request and response
   * @param first what all indices begin at: back ends other than this package's expect 0
   */
  constructor(bytes: Uint8Array, entrySize: number, first = 0) {
    this.capacity = check(bytes, entrySize);
    this.bytes = bytes;
    this.#entrySize = entrySize;
    this.#indices = new Int32Array(bytes.buffer, bytes.byteOffset, 4);
    this.#requests = first | 0;
    this.#responses = first | 0;
    bytes.fill(0, 0, ringHeader);
    Atomics.store(this.#indices, requestProducer, first);
    Atomics.store(this.#indices, responseProducer, first);
    Atomics.store(this.#indices, requestEvent, first + 1);
    Atomics.store(this.#indices, responseEvent, first + 1);
  }

  /** Requests that there is room for. */
  get free(): number {
    return this.capacity - this.inFlight;
  }

  /** Requests without a response that was taken. */
  get inFlight(): number {
    return (this.#requests - this.#responses) >>> 0;
  }

  /**
   * The entry for a request, to be filled in before {@link FrontRing.push}. The other end does not see it before.
   *
   * @returns its offset in {@link FrontRing.bytes}
   * @throws RangeError when {@link FrontRing.free} is 0.
   */
  nextRequest(): number {
    if (this.free === 0) throw new RangeError("the ring is full");
    const offset = ringHeader + (this.#requests & (this.capacity - 1)) * this.#entrySize;
    this.#requests = (this.#requests + 1) | 0;
    return offset;
  }

  /** Lets the other end see all requests so far. @returns whether it wants to be notified */
  push(): boolean {
    const before = Atomics.exchange(this.#indices, requestProducer, this.#requests);
    return isCrossed(Atomics.load(this.#indices, requestEvent), before, this.#requests);
  }

  /** Responses that can be taken; −1 when the other end claims more than there are requests. */
  get available(): number {
    const count = (Atomics.load(this.#indices, responseProducer) - this.#responses) >>> 0;
    return count > this.inFlight ? -1 : count;
  }

  /** Takes the next response, of those {@link FrontRing.available}. @returns its offset */
  nextResponse(): number {
    const offset = ringHeader + (this.#responses & (this.capacity - 1)) * this.#entrySize;
    this.#responses = (this.#responses + 1) | 0;
    return offset;
  }

  /**
   * Asks for a notification once `count` more responses have come, before the caller stops looking.
   *
   * @returns true: there are responses already (or the index makes no sense: {@link FrontRing.available} says so)
   */
  finalCheck(count = 1): boolean {
    if (this.available === 0) Atomics.store(this.#indices, responseEvent, (this.#responses + count) | 0);
    // Atomics are sequentially consistent: what came before the store was seen is found here.
    return this.available !== 0;
  }
}

/** The end that answers. */
export class BackRing {
  /** The memory that both ends see: offsets of entries are into it. */
  readonly bytes: Uint8Array;
  readonly capacity: number;
  readonly #entrySize: number;
  readonly #indices: Int32Array;
  #requests: number;
  #responses: number;

  /**
   * Goes on behind the last response that the ring has: with a new ring, at its beginning.
   *
   * @param bytes whole pages, mapped one after the other
   * @param entrySize bytes of an entry: of the longer of request and response
   */
  constructor(bytes: Uint8Array, entrySize: number) {
    this.capacity = check(bytes, entrySize);
    this.bytes = bytes;
    this.#entrySize = entrySize;
    this.#indices = new Int32Array(bytes.buffer, bytes.byteOffset, 4);
    this.#responses = Atomics.load(this.#indices, responseProducer);
    this.#requests = this.#responses;
  }

  /** Requests taken and not answered. */
  get inFlight(): number {
    return (this.#requests - this.#responses) >>> 0;
  }

  /** Requests that can be taken; −1 when the other end claims more than fit. */
  get available(): number {
    const produced = Atomics.load(this.#indices, requestProducer);
    if ((produced - this.#responses) >>> 0 > this.capacity) return -1;
    const count = (produced - this.#requests) >>> 0;
    return count > this.capacity ? -1 : count;
  }

  /** Takes the next request, of those {@link BackRing.available}. @returns its offset in {@link BackRing.bytes} */
  nextRequest(): number {
    const offset = ringHeader + (this.#requests & (this.capacity - 1)) * this.#entrySize;
    this.#requests = (this.#requests + 1) | 0;
    return offset;
  }

  /**
   * The entry for a response, to be filled in before {@link BackRing.push}. It lies where a request was, which must
   * have been read by then.
   *
   * @returns its offset
   * @throws RangeError when no request waits for a response.
   */
  nextResponse(): number {
    if (this.inFlight === 0) throw new RangeError("there is no request to answer");
    const offset = ringHeader + (this.#responses & (this.capacity - 1)) * this.#entrySize;
    this.#responses = (this.#responses + 1) | 0;
    return offset;
  }

  /** Lets the other end see all responses so far. @returns whether it wants to be notified */
  push(): boolean {
    const before = Atomics.exchange(this.#indices, responseProducer, this.#responses);
    return isCrossed(Atomics.load(this.#indices, responseEvent), before, this.#responses);
  }

  /**
   * Asks for a notification once `count` requests can be taken, before the caller stops looking.
   *
   * @returns true: they can already (or the index makes no sense: {@link BackRing.available} says so)
   */
  finalCheck(count = 1): boolean {
    if (this.#isShort(count)) Atomics.store(this.#indices, requestEvent, (this.#requests + count) | 0);
    return !this.#isShort(count);
  }

  #isShort(count: number): boolean {
    const { available } = this;
    return available >= 0 && available < count;
  }
}

/** Whether going from `before` to `now` passes the index at which the other end wants to hear of it. */
function isCrossed(event: number, before: number, now: number): boolean {
  return (now - event) >>> 0 < (now - before) >>> 0;
}
