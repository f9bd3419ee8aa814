import type { StreamBinding, TcpHandle } from "./bindings.ts";
import type { Errno } from "./errno.ts";
import type { Host } from "./host.ts";
import type { ReadSink } from "./read-pump.ts";

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
    // As from libuv, each chunk has an ArrayBuffer of its own, of its length: programs look into it.
    const isKept = length === into.length;
    const bytes = isKept ? into : copyOf(into, length);
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

/** Not `slice`, which for a Buffer would be a view. */
function copyOf(from: Uint8Array, length: number): Uint8Array {
  const bytes = Buffer.allocUnsafeSlow(length);
  bytes.set(from.subarray(0, length));
  return bytes;
}
