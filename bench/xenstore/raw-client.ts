import { encodeMessage, Message, MessageReader, messageType, textOf } from "@tesserae/xenstore/wire";

/** An answer: its payload, or the name of an error. */
export type Answer = Uint8Array | string;

/** A client that does as little as a client can: the same for all servers. */
export class RawClient {
  readonly #reader = new MessageReader();
  readonly #message = new Message();
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  readonly #send: (bytes: Uint8Array) => void;
  #last = 0;
  events = 0;

  constructor(send: (bytes: Uint8Array) => void) {
    this.#send = send;
  }

  ask(type: number, transaction: number, payload: Uint8Array): Promise<Answer> {
    this.#last = (this.#last + 1) >>> 0;
    const request = this.#last;
    return new Promise((resolve) => {
      this.#waiting.set(request, resolve);
      this.#send(encodeMessage(type, request, transaction, payload));
    });
  }

  receive(bytes: Uint8Array, length: number): void {
    for (let at = 0; ;) {
      const result = this.#reader.take(bytes, at, length - at, this.#message);
      if (result === -1) throw new Error("the server said something that is no message");
      at += result.taken;
      if (!result.whole) return;
      const { type, request, payload } = this.#message;
      if (type === messageType.watchEvent) {
        this.events++;
        continue;
      }
      const resolve = this.#waiting.get(request);
      this.#waiting.delete(request);
      resolve?.(type === messageType.error ? textOf(payload, 0, payload.length - 1) : payload);
    }
  }

  /** Everything that waits is answered with `ECONNRESET`. */
  end(): void {
    for (const resolve of this.#waiting.values()) resolve("ECONNRESET");
    this.#waiting.clear();
  }
}
