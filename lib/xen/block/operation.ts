import type { BlockError } from "@tesserae/device/block";
import { unit } from "./wire.ts";

/** One call of a block device's user. It becomes as many requests as it needs. */
export class Operation {
  /** Of `operation` in `wire.ts`. */
  readonly kind: number;
  readonly sector: number;
  /** In units of 512 bytes. */
  readonly place: number;
  /** The caller's memory; absent where none is read or written. */
  readonly bytes: Uint8Array | undefined;
  /** Bytes on the device that it is about. */
  readonly length: number;
  /** Bytes that requests were made for. */
  asked = 0;
  /** Requests without a response. */
  waiting = 0;
  #isOver = false;
  readonly #done: (operation: Operation, error: BlockError | undefined) => void;

  constructor(
    kind: number,
    sector: number,
    place: number,
    bytes: Uint8Array | undefined,
    length: number,
    done: (operation: Operation, error: BlockError | undefined) => void,
  ) {
    this.kind = kind;
    this.sector = sector;
    this.place = place;
    this.bytes = bytes;
    this.length = length;
    this.#done = done;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Where the next request is, in units of 512 bytes. */
  get nextPlace(): number {
    return this.place + this.asked / unit;
  }

  /** From the beginning, at another back end. */
  restart(): void {
    this.asked = 0;
    this.waiting = 0;
  }

  /** A request of it was answered; `error` when it failed. */
  answered(error: BlockError | undefined): void {
    this.waiting--;
    if (error !== undefined) this.fail(error);
    else if (this.waiting === 0 && this.asked === this.length) this.#end(undefined);
  }

  fail(error: BlockError): void {
    this.#end(error);
  }

  #end(error: BlockError | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#done(this, error);
  }
}
