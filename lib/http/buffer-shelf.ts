/** Bytes of a buffer on the shelf. */
export const shelfBuffer = 4096;
/** Buffers that are kept, at most: two for each connection that comes as another one goes. */
const most = 256;

/**
 * The first buffers of connections, passed on from those that are over to those that come. Buffers of this size are
 * memory of their own, outside the heap, and dear to make and to collect where a connection serves one request.
 */
export class BufferShelf {
  readonly #buffers: Uint8Array[] = [];

  /** @returns {@link shelfBuffer} bytes with anything in them; the caller's until it gives them back, or for good */
  take(): Uint8Array {
    return this.#buffers.pop() ?? new Uint8Array(shelfBuffer);
  }

  /** @param buffer nobody's any more. One that has grown is left to the collector. */
  give(buffer: Uint8Array): void {
    if (buffer.length === shelfBuffer && this.#buffers.length < most) this.#buffers.push(buffer);
  }
}
