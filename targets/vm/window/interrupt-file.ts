import { closeSync, openSync, readSync, writeSync } from "node:fs";
import { Socket, type OnReadOpts, type SocketConstructorOpts } from "node:net";
import { WindowError } from "./window-error.ts";
import type { Interrupt, InterruptLine, InterruptMessage } from "./window.ts";

const flagLevel = 1;
const flagActiveLow = 2;
/**
 * Larger than the 8 bytes that a read gives: the event loop then knows that there is no more, and does not ask.
 */
const readSize = 64;

/**
 * One interrupt of the kernel, which the event loop watches as it watches a pipe: no allocation and one system call a
 * wake-up.
 */
export class InterruptFile implements Interrupt {
  readonly message: InterruptMessage | undefined;
  readonly #fd: number;
  readonly #level: Uint8Array | undefined;
  readonly #socket: Socket;
  #closed = false;

  /** @throws WindowError when the kernel has no such interrupt. */
  constructor(path: string, source: InterruptLine | "message", callback: () => void) {
    const request = encode(source);
    const what = source === "message" ? "a message-signalled interrupt" : `interrupt line ${String(source.line)}`;
    this.#fd = open(path, what);
    try {
      writeSync(this.#fd, request);
      this.message = source === "message" ? readMessage(this.#fd) : undefined;
    } catch (error) {
      closeSync(this.#fd);
      throw new WindowError(`${what}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
    }
    this.#level = source !== "message" && source.level === true ? request : undefined;
    const options: SocketConstructorOpts & { readonly onread: OnReadOpts } = {
      fd: this.#fd,
      readable: true,
      writable: false,
      onread: {
        buffer: new Uint8Array(readSize),
        callback: () => {
          this.#deliver(callback);
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

  #deliver(callback: () => void): void {
    if (this.#closed) return;
    try {
      callback();
    } finally {
      // Writing the request again unmasks the line.
      if (this.#level !== undefined && !this.isClosed) writeSync(this.#fd, this.#level);
    }
  }
}

function encode(source: InterruptLine | "message"): Uint8Array {
  const request = new DataView(new ArrayBuffer(8));
  if (source === "message") {
    request.setInt32(0, -1, true);
  } else {
    request.setInt32(0, source.line, true);
    const level = source.level === true ? flagLevel : 0;
    request.setUint32(4, level | (source.activeLow === true ? flagActiveLow : 0), true);
  }
  return new Uint8Array(request.buffer);
}

function open(path: string, what: string): number {
  try {
    return openSync(path, "r+");
  } catch (error) {
    throw new WindowError(`${what}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

function readMessage(fd: number): InterruptMessage {
  const bytes = new Uint8Array(16);
  readSync(fd, bytes, 0, 16, 0);
  const view = new DataView(bytes.buffer);
  return { address: Number(view.getBigUint64(0, true)), data: view.getUint32(8, true) };
}
