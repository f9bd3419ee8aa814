import type { Flow } from "@tesserae/device/flow";
import { u16At } from "./authoritative/octets.ts";

/** Messages on a stream, each with its length in two bytes in front (RFC 1035 §4.2.2). */
export class MessageStream {
  readonly flow: Flow;
  #buffer = new Uint8Array(4096);
  #start = 0;
  #end = 0;

  constructor(flow: Flow) {
    this.flow = flow;
  }

  /**
   * The next message, the caller's to keep; `undefined` when the peer has ended between two messages.
   *
   * @throws Error (rejects) when it ends inside of one; FlowError.
   */
  async read(): Promise<Uint8Array | undefined> {
    if (!(await this.#fill(2))) return undefined;
    const length = u16At(this.#buffer, this.#start);
    if (!(await this.#fill(2 + length))) throw new Error("the peer ended in the middle of a message");
    const message = this.#buffer.slice(this.#start + 2, this.#start + 2 + length);
    this.#start += 2 + length;
    return message;
  }

  /** Length and message in one piece (RFC 7766 §8). @throws FlowError (rejects). */
  async write(message: Uint8Array): Promise<void> {
    const framed = new Uint8Array(message.length + 2);
    framed[0] = message.length >>> 8;
    framed[1] = message.length;
    framed.set(message, 2);
    await this.flow.write(framed);
  }

  /** Reads until `wanted` bytes are there. False when the peer ended before the first. */
  async #fill(wanted: number): Promise<boolean> {
    while (this.#end - this.#start < wanted) {
      if (this.#start > 0) {
        this.#buffer.copyWithin(0, this.#start, this.#end);
        this.#end -= this.#start;
        this.#start = 0;
      }
      if (wanted > this.#buffer.length) {
        const larger = new Uint8Array(65_537);
        larger.set(this.#buffer.subarray(0, this.#end));
        this.#buffer = larger;
      }
      const count = await this.flow.read(this.#buffer.subarray(this.#end));
      if (count === 0) {
        if (this.#end === 0) return false;
        throw new Error("the peer ended in the middle of a message");
      }
      this.#end += count;
    }
    return true;
  }
}
