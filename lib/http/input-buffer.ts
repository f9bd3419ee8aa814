import type { Flow } from "@tesserae/device/flow";

const largest = 65_536;
const none = new Uint8Array(0);

/** Octets read from a flow that nobody has taken yet: `bytes[start … end)`. */
export class InputBuffer {
  bytes: Uint8Array;
  start = 0;
  end = 0;
  readonly #flow: Flow;
  #ended = false;
  #filling: Promise<boolean> | undefined = undefined;

  /** @param bytes are its own until {@link InputBuffer.release} */
  constructor(flow: Flow, bytes: Uint8Array) {
    this.#flow = flow;
    this.bytes = bytes;
  }

  /** Whether a read is under way. */
  get filling(): boolean {
    return this.#filling !== undefined;
  }

  /** Whether more octets can be read before any is taken. */
  get hasRoom(): boolean {
    return this.end < this.bytes.length || this.start === this.end;
  }

  /** Waits for more octets. False at the end of the flow; rejects as `Flow.read`. Calls meanwhile wait for the same. */
  fill(): Promise<boolean> {
    return (this.#filling ??= this.#read());
  }

  async #read(): Promise<boolean> {
    if (this.#ended) {
      this.#filling = undefined;
      return false;
    }
    let into = this.bytes;
    if (this.start === this.end) {
      this.start = 0;
      this.end = 0;
    } else {
      if (this.end === into.length) {
        into.copyWithin(0, this.start, this.end);
        this.end -= this.start;
        this.start = 0;
      }
      into = into.subarray(this.end);
    }
    try {
      const length = await this.#flow.read(into);
      if (length === 0) {
        this.#ended = true;
        return false;
      }
      this.end += length;
      if (length === into.length && this.bytes.length < largest) this.#grow();
      return true;
    } finally {
      this.#filling = undefined;
    }
  }

  /** A read that fills the whole buffer means that there is more where it came from. */
  #grow(): void {
    const larger = new Uint8Array(this.bytes.length * 4);
    larger.set(this.bytes.subarray(this.start, this.end));
    this.end -= this.start;
    this.start = 0;
    this.bytes = larger;
  }

  /** The flow is over, and all its calls with it. @returns the buffer, which is the caller's */
  release(): Uint8Array {
    const { bytes } = this;
    this.bytes = none;
    this.start = 0;
    this.end = 0;
    return bytes;
  }
}
