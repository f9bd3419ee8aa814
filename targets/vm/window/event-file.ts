import { closeSync, openSync, readSync, writeSync } from "node:fs";
import { Socket, type OnReadOpts, type SocketConstructorOpts } from "node:net";
import { WindowError } from "./window-error.ts";
import type { InterruptMessage } from "./window.ts";

/**
 * Larger than the 8 bytes that a read gives: the event loop then knows that there is no more, and does not ask.
 */
const readSize = 64;
const messageSize = 16;

/**
 * An open `/dev/window/interrupt`, which the event loop watches as it watches a pipe: no allocation and one system call a
 * wake-up. It keeps the event loop alive until {@link EventFile.unref}.
 */
export class EventFile {
  readonly #fd: number;
  readonly #request: Uint8Array;
  readonly #socket: Socket;
  #closed = false;

  /**
   * @param request `struct window_interrupt_request`
   * @param what for errors
   * @throws WindowError when the kernel refuses; its cause has the `code`.
   */
  constructor(path: string, request: Uint8Array, what: string, callback: () => void) {
    this.#request = request;
    try {
      this.#fd = openSync(path, "r+");
    } catch (error) {
      throw new WindowError(`${what}: ${reason(error)}`, { cause: error });
    }
    try {
      writeSync(this.#fd, request);
    } catch (error) {
      closeSync(this.#fd);
      throw new WindowError(`${what}: ${reason(error)}`, { cause: error });
    }
    const options: SocketConstructorOpts & { readonly onread: OnReadOpts } = {
      fd: this.#fd,
      readable: true,
      writable: false,
      onread: {
        buffer: new Uint8Array(readSize),
        callback: () => {
          if (!this.#closed) callback();
          return true;
        },
      },
    };
    this.#socket = new Socket(options);
    // The kernel's file does not fail, and a closed one is of no interest.
    this.#socket.on("error", () => undefined);
    this.#socket.resume();
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** What the kernel says of it: `struct window_interrupt_message`. */
  readMessage(): InterruptMessage {
    const bytes = new Uint8Array(messageSize);
    readSync(this.#fd, bytes, 0, messageSize, 0);
    const view = new DataView(bytes.buffer);
    return { address: Number(view.getBigUint64(0, true)), data: view.getUint32(8, true) };
  }

  /** Writes the request again. */
  repeat(): void {
    if (!this.#closed) writeSync(this.#fd, this.#request);
  }

  ref(): void {
    this.#socket.ref();
  }

  unref(): void {
    this.#socket.unref();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.destroy();
  }
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
