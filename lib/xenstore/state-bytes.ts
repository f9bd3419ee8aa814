import { textOf } from "./wire.ts";

/** Writes numbers in little-endian order, and bytes, one behind the other. */
export class Writer {
  #bytes: Uint8Array;
  #view: DataView;
  #length = 0;

  /** @param room bytes to begin with */
  constructor(room = 65_536) {
    this.#bytes = new Uint8Array(room);
    this.#view = new DataView(this.#bytes.buffer);
  }

  get length(): number {
    return this.#length;
  }

  /** A copy of all. */
  get bytes(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  /** Begins anew. */
  clear(): void {
    this.#length = 0;
  }

  #room(count: number): number {
    const at = this.#length;
    this.#length += count;
    if (this.#length > this.#bytes.length) {
      const bigger = new Uint8Array(2 ** Math.ceil(Math.log2(this.#length)));
      bigger.set(this.#bytes);
      this.#bytes = bigger;
      this.#view = new DataView(bigger.buffer);
    }
    return at;
  }

  u8(value: number): void {
    const at = this.#room(1);
    this.#view.setUint8(at, value);
  }

  u16(value: number): void {
    const at = this.#room(2);
    this.#view.setUint16(at, value, true);
  }

  u32(value: number, littleEndian = true): void {
    const at = this.#room(4);
    this.#view.setUint32(at, value, littleEndian);
  }

  raw(bytes: Uint8Array): void {
    const at = this.#room(bytes.length);
    this.#bytes.set(bytes, at);
  }

  /** A record: its type, its length, what `body` writes, and zeros up to a multiple of eight bytes. */
  record(type: number, body: () => void): void {
    this.u32(type);
    const at = this.#room(4);
    const start = this.#length;
    body();
    const length = this.#length - start;
    this.#view.setUint32(at, length, true);
    for (let padding = -length & 7; padding > 0; padding--) this.u8(0);
  }
}

/** A stream is damaged, or of another kind. */
export class StateError extends Error {
  override readonly name = "StateError";
}

/** Reads what {@link Writer} writes, and never beyond the end. */
export class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  at: number;
  readonly #end: number;

  constructor(bytes: Uint8Array, at: number, end: number) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.at = at;
    this.#end = end;
  }

  /** @throws StateError naming the offset, when the record ends before. */
  #take(count: number): number {
    const at = this.at;
    if (count > this.#end - at) throw new StateError(`the state ends too early, at byte ${at}`);
    this.at += count;
    return at;
  }

  get isAtEnd(): boolean {
    return this.at === this.#end;
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }

  u32(littleEndian = true): number {
    return this.#view.getUint32(this.#take(4), littleEndian);
  }

  raw(count: number): Uint8Array {
    const at = this.#take(count);
    return this.#bytes.slice(at, at + count);
  }

  /** Text that has a NUL behind it, which is counted. */
  text(count: number): string {
    const bytes = this.raw(count);
    if (bytes[count - 1] !== 0) throw new StateError(`a text without an end, at byte ${this.at - count}`);
    return textOf(bytes, 0, count - 1);
  }

  /** Text up to a NUL. */
  string(): string {
    const end = this.#bytes.indexOf(0, this.at);
    if (end < 0 || end >= this.#end) throw new StateError(`a text without an end, at byte ${this.at}`);
    return this.text(end + 1 - this.at);
  }

  /** The next `count` bytes on their own. */
  part(count: number): Reader {
    const at = this.#take(count);
    return new Reader(this.#bytes, at, at + count);
  }
}
