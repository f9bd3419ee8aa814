import { EventFile } from "./event-file.ts";
import type { Interrupt, InterruptLine, InterruptMessage } from "./window.ts";

const flagLevel = 1;
const flagActiveLow = 2;

/** One interrupt of the kernel. */
export class InterruptFile implements Interrupt {
  readonly message: InterruptMessage | undefined;
  readonly #file: EventFile;

  /** @throws WindowError when the kernel has no such interrupt. */
  constructor(path: string, source: InterruptLine | "message", callback: () => void) {
    const what = source === "message" ? "a message-signalled interrupt" : `interrupt line ${String(source.line)}`;
    const deliver = (): void => {
      try {
        callback();
      } finally {
        // Writing the request again unmasks the line.
        this.#file.repeat();
      }
    };
    const isLevel = source !== "message" && source.level === true;
    this.#file = new EventFile(path, encode(source), what, isLevel ? deliver : callback);
    this.message = source === "message" ? this.#file.readMessage() : undefined;
  }

  get isClosed(): boolean {
    return this.#file.isClosed;
  }

  ref(): void {
    this.#file.ref();
  }

  unref(): void {
    this.#file.unref();
  }

  close(): void {
    this.#file.close();
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
