import type { Registers } from "./window.ts";

/**
 * Registers behind a buffer that the kernel has bound to them.
 *
 * Elements of typed arrays and no DataView: until V8 has optimised a DataView's method it loads byte by byte, which
 * devices do not understand.
 */
export class BoundRegisters implements Registers {
  readonly physical: number;
  readonly length: number;
  readonly #bytes: Uint8Array;
  readonly #halves: Uint16Array;
  readonly #words: Uint32Array;
  /** Of the first register in the arrays, in bytes: a page may start before it. */
  readonly #start: number;

  /**
   * @param page the bound memory, from a multiple of 4 in its buffer on
   * @param start where the registers begin in it
   */
  constructor(page: Uint8Array, start: number, physical: number, length: number) {
    this.physical = physical;
    this.length = length;
    this.#bytes = page;
    this.#halves = new Uint16Array(page.buffer, page.byteOffset, page.length >>> 1);
    this.#words = new Uint32Array(page.buffer, page.byteOffset, page.length >>> 2);
    this.#start = start;
  }

  read8(offset: number): number {
    return this.#inside(offset, 1) ? (this.#bytes[this.#start + offset] ?? 0) : 0;
  }

  read16(offset: number): number {
    return this.#inside(offset, 2) ? (this.#halves[(this.#start + offset) >>> 1] ?? 0) : 0;
  }

  read32(offset: number): number {
    return this.#inside(offset, 4) ? (this.#words[(this.#start + offset) >>> 2] ?? 0) : 0;
  }

  write8(offset: number, value: number): void {
    if (this.#inside(offset, 1)) this.#bytes[this.#start + offset] = value;
  }

  write16(offset: number, value: number): void {
    if (this.#inside(offset, 2)) this.#halves[(this.#start + offset) >>> 1] = value;
  }

  write32(offset: number, value: number): void {
    if (this.#inside(offset, 4)) this.#words[(this.#start + offset) >>> 2] = value;
  }

  #inside(offset: number, width: number): boolean {
    return offset >= 0 && offset + width <= this.length;
  }
}
