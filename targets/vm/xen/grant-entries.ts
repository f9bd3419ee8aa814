import type { Access } from "@tesserae/xen/grant";

/** The entries of a grant table as Xen has them (`grant_table.h`). */
export interface GrantEntries {
  readonly count: number;
  /** Lets the domain have the frame from now on. */
  permit(reference: number, domain: number, frame: number, access: Access): void;
  /** Whether the domain has it mapped, or copies from or to it. */
  isInUse(reference: number): boolean;
  /** The domain cannot have it any more. @returns false while it is in use: to be asked again */
  revoke(reference: number): boolean;
}

const permitAccess = 1;
const readOnly = 4;
const inUse = 8 | 16;
const domainShift = 16;

/** What an entry begins with: flags, then the domain, 16 bits each. */
function header(domain: number, access: Access): number {
  return permitAccess | (access === "read-only" ? readOnly : 0) | (domain << domainShift);
}

/** Version 1: eight bytes, with a frame of 32 bits, which reaches 16 TiB. What is in use Xen notes in the flags. */
export class GrantEntries1 implements GrantEntries {
  readonly count: number;
  /** Halves of entries, of which Xen changes the first; and their words. */
  readonly #halves: Uint16Array;
  readonly #words: Int32Array;

  /** @param table the pages that Xen and the domain share */
  constructor(table: Uint8Array) {
    this.#halves = new Uint16Array(table.buffer, table.byteOffset, table.length / 2);
    this.#words = new Int32Array(table.buffer, table.byteOffset, table.length / 4);
    this.count = table.length / 8;
  }

  permit(reference: number, domain: number, frame: number, access: Access): void {
    this.#words[reference * 2 + 1] = frame;
    // The entry is valid from here on, for its frame is there.
    Atomics.store(this.#words, reference * 2, header(domain, access));
  }

  isInUse(reference: number): boolean {
    return (Atomics.load(this.#halves, reference * 4) & inUse) !== 0;
  }

  revoke(reference: number): boolean {
    const at = reference * 4;
    for (;;) {
      const flags = Atomics.load(this.#halves, at);
      if ((flags & inUse) !== 0) return false;
      // Xen sets the bits of use at any time: then the flags are others.
      if (Atomics.compareExchange(this.#halves, at, flags, 0) === flags) return true;
    }
  }
}

/** Version 2: sixteen bytes, with a frame of 64 bits. What is in use Xen notes in pages of its own. */
export class GrantEntries2 implements GrantEntries {
  readonly count: number;
  readonly #words: Int32Array;
  readonly #status: Uint16Array;

  /** @param status two bytes an entry, which only Xen changes */
  constructor(table: Uint8Array, status: Uint8Array) {
    this.#words = new Int32Array(table.buffer, table.byteOffset, table.length / 4);
    this.#status = new Uint16Array(status.buffer, status.byteOffset, status.length / 2);
    this.count = Math.min(table.length / 16, this.#status.length);
  }

  permit(reference: number, domain: number, frame: number, access: Access): void {
    const at = reference * 4;
    this.#words[at + 2] = frame;
    this.#words[at + 3] = Math.floor(frame / 0x1_0000_0000);
    Atomics.store(this.#words, at, header(domain, access));
  }

  isInUse(reference: number): boolean {
    return (Atomics.load(this.#status, reference) & inUse) !== 0;
  }

  revoke(reference: number): boolean {
    if (this.isInUse(reference)) return false;
    Atomics.store(this.#words, reference * 4, 0);
    // Who began meanwhile goes on, and nobody begins any more.
    return !this.isInUse(reference);
  }
}
