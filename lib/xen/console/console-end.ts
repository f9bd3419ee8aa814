/**
 * The page of a paravirtual console (Xen's `io/console.h`): 1024 bytes of input to the guest, 2048 of output from it, and
 * their indices. Whoever moves an index signals the event channel.
 */

import { ByteRing } from "../byte-ring.ts";
import { pageSize } from "../grant.ts";
import { XenError } from "../xen-error.ts";

const inputSize = 1024;
const outputSize = 2048;
/** Indices, in words of 32 bits. */
const inputConsumer = 768;
const inputProducer = 769;
const outputConsumer = 770;
const outputProducer = 771;

export interface ConsoleEndOptions {
  /** The page that both ends share. */
  readonly page: Uint8Array;
  readonly isGuest: boolean;
  /** Fires the event channel at the other end. */
  readonly signal: () => void;
  /** Gets bytes as they come; they are the callee's only during the call. */
  readonly received: (bytes: Uint8Array, length: number) => void;
  /** Bytes that wait for room in the ring; what is beyond is dropped, from the end of a write. Default 65,536. */
  readonly capacity?: number;
}

/** One end of a console. Whoever makes it calls {@link ConsoleEnd.signalled} when the event channel fires. */
export class ConsoleEnd {
  readonly #options: ConsoleEndOptions;
  readonly #input: ByteRing;
  readonly #output: ByteRing;
  readonly #buffer: Uint8Array;
  readonly #waiting: Uint8Array[] = [];
  #offset = 0;
  #queued = 0;
  #error: XenError | undefined;
  /** Bytes that nobody had room for. */
  dropped = 0;

  constructor(options: ConsoleEndOptions) {
    const { page, isGuest } = options;
    if (page.length < pageSize) throw new RangeError(`a page has ${pageSize} bytes, and not ${page.length}`);
    const indices = new Int32Array(page.buffer, page.byteOffset, pageSize / 4);
    const toGuest = new ByteRing(indices, inputConsumer, inputProducer, page.subarray(0, inputSize));
    const fromGuest = new ByteRing(
      indices,
      outputConsumer,
      outputProducer,
      page.subarray(inputSize, inputSize + outputSize),
    );
    this.#options = options;
    this.#input = isGuest ? toGuest : fromGuest;
    this.#output = isGuest ? fromGuest : toGuest;
    this.#buffer = new Uint8Array(this.#input.size);
  }

  /** What the other end did wrong; nothing is read or written any more then. */
  get error(): XenError | undefined {
    return this.#error;
  }

  /** Bytes that wait for room. */
  get queued(): number {
    return this.#queued;
  }

  /** Writes all there is room for, now or as the other end reads. Copies what has to wait. Never throws. */
  write(bytes: Uint8Array): void {
    if (this.#error !== undefined) return;
    let offset = 0;
    if (this.#waiting.length === 0) {
      offset = this.#output.write(bytes);
      if (offset < 0) {
        this.#fail();
        return;
      }
      if (offset > 0) this.#options.signal();
    }
    const room = Math.max(0, (this.#options.capacity ?? 65_536) - this.#queued);
    const kept = Math.min(room, bytes.length - offset);
    this.dropped += bytes.length - offset - kept;
    if (kept === 0) return;
    this.#waiting.push(bytes.slice(offset, offset + kept));
    this.#queued += kept;
  }

  /** The other end has moved an index. */
  signalled(): void {
    // Once round: an end that writes on and on signals again.
    const count = this.#read();
    if (count > 0) this.#options.received(this.#buffer, count);
    if (this.#flush() || count > 0) this.#options.signal();
  }

  #read(): number {
    if (this.#error !== undefined) return 0;
    const count = this.#input.read(this.#buffer);
    if (count < 0) this.#fail();
    return count;
  }

  #flush(): boolean {
    let moved = false;
    for (let first = this.#waiting[0]; first !== undefined && this.#error === undefined; first = this.#waiting[0]) {
      const count = this.#output.write(first, this.#offset);
      if (count < 0) this.#fail();
      if (count <= 0) return moved;
      moved = true;
      this.#queued -= count;
      this.#offset += count;
      if (this.#offset < first.length) return moved;
      this.#offset = 0;
      this.#waiting.shift();
    }
    return moved;
  }

  #fail(): void {
    this.#error = new XenError("protocol", "the console's indices make no sense");
    this.#waiting.length = 0;
    this.#queued = 0;
  }
}
