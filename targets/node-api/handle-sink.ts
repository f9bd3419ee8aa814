import type { StreamBinding, TcpHandle } from "./bindings.ts";
import type { Errno } from "./errno.ts";
import type { Host } from "./host.ts";
import type { ReadSink } from "./read-pump.ts";

/** Reads up to this size are copied into Node's pool of small buffers, bytes. */
const smallRead = 2048;

/** Gives what is read to a handle's `onread`, as libuv's streams do. */
export class HandleSink implements ReadSink {
  readonly #handle: TcpHandle;
  readonly #stream: StreamBinding;
  readonly #errno: Errno;
  readonly #eof: number;
  readonly #next: (buffer: Uint8Array<ArrayBuffer>) => void;
  /** Bytes go to the user's own buffer: the handle only learns how many. */
  hasUserBuffer = false;

  /** @param next gets the buffer that the user wants the next bytes in */
  constructor(host: Host, handle: TcpHandle, next: (buffer: Uint8Array<ArrayBuffer>) => void) {
    this.#handle = handle;
    this.#stream = host.bindings.stream;
    this.#errno = host.errno;
    this.#eof = host.errno.number("EOF");
    this.#next = next;
  }

  data(into: Uint8Array<ArrayBuffer>, length: number): boolean {
    const { streamBaseState, kReadBytesOrError, kArrayBufferOffset } = this.#stream;
    if (this.hasUserBuffer) {
      streamBaseState[kReadBytesOrError] = length;
      streamBaseState[kArrayBufferOffset] = into.byteOffset;
      const next = this.#handle.onread?.();
      // as: net.js checks that it is a Uint8Array; memory that is shared is the user's business.
      if (next instanceof Uint8Array) this.#next(next as Uint8Array<ArrayBuffer>);
      return false;
    }
    // A short read must not hold on to a large buffer; one that fills half of it may have it.
    const isKept = length > smallRead && length * 2 >= into.length;
    const bytes = isKept ? into : copy(into, length);
    streamBaseState[kReadBytesOrError] = length;
    streamBaseState[kArrayBufferOffset] = bytes.byteOffset;
    this.#handle.onread?.(bytes.buffer);
    return isKept;
  }

  end(error: unknown): void {
    const { streamBaseState, kReadBytesOrError } = this.#stream;
    streamBaseState[kReadBytesOrError] = error === undefined ? this.#eof : this.#errno.of(error);
    this.#handle.onread?.();
  }
}

function copy(from: Uint8Array, length: number): Uint8Array {
  const bytes = length <= smallRead ? Buffer.allocUnsafe(length) : Buffer.allocUnsafeSlow(length);
  bytes.set(from.subarray(0, length));
  return bytes;
}
