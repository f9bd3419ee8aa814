/** What stands in a place of the source, for errors. Both count from 1; columns are bytes. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** {@link Tokens.read}: the bytes end inside the entry, and there are more. */
export const needsMore = -1;
/** {@link Tokens.read}: the entry is malformed; `fault` says how. */
export const malformed = -2;

/** The token stands in quotes. */
export const isQuoted = 1;
/** It has a part in quotes, as in `key="value"`. */
export const hasQuotes = 2;
/** It has a backslash. */
export const hasEscape = 4;

const blank = 1;
const newline = 2;
const comment = 3;
const open = 4;
const close = 5;
const quote = 6;
const escape = 7;

const charClass = new Uint8Array(256);
for (const [characters, each] of [
  ["\t\r ", blank],
  ["\n", newline],
  [";", comment],
  ["(", open],
  [")", close],
  ['"', quote],
  ["\\", escape],
] as const) {
  for (let index = 0; index < characters.length; index++) charClass[characters.charCodeAt(index)] = each;
}

/**
 * The tokens of one entry of a master file (RFC 1035 §5.1): a line, and the lines that parentheses join to it.
 *
 * Nothing is copied: a token is a range of the bytes that were read, with its quotes left out.
 */
export class Tokens {
  bytes: Uint8Array = new Uint8Array(0);
  /** How many there are. */
  count = 0;
  starts: Int32Array = new Int32Array(64);
  ends: Int32Array = new Int32Array(64);
  lines: Int32Array = new Int32Array(64);
  columns: Int32Array = new Int32Array(64);
  /** {@link isQuoted}, {@link hasQuotes}, {@link hasEscape}. */
  flags: Uint8Array = new Uint8Array(64);
  /** Whether the entry begins with a blank, and so has no owner. */
  beginsBlank = false;
  /** The number of the line at which the next entry begins. */
  line = 1;
  /** After {@link malformed}. */
  fault: (Place & { readonly what: string }) | undefined;

  /**
   * Reads the entry that begins at `at`, which is the start of a line.
   *
   * @param isLast whether nothing comes after `end`
   * @returns where the next entry begins, {@link needsMore} or {@link malformed}; see {@link skipLine} then
   */
  read(bytes: Uint8Array, at: number, end: number, isLast: boolean): number {
    this.bytes = bytes;
    this.count = 0;
    this.fault = undefined;
    let line = this.line;
    let lineStart = at;
    let depth = 0;
    let next = at;
    // as, here and below: `next` is below `end`, and the table has all 256
    this.beginsBlank = at < end && charClass[bytes[at] as number] === blank;
    for (;;) {
      if (next >= end) {
        if (!isLast) return needsMore;
        if (depth > 0) return this.#fail(line, next - lineStart, "the file ends inside parentheses");
        break;
      }
      const kind = charClass[bytes[next] as number] as number; // as: above
      if (kind === blank) {
        next++;
      } else if (kind === newline) {
        next++;
        line++;
        lineStart = next;
        if (depth === 0) break;
      } else if (kind === comment) {
        while (next < end && bytes[next] !== 0x0a) next++;
      } else if (kind === open) {
        depth++;
        next++;
      } else if (kind === close) {
        if (--depth < 0) return this.#fail(line, next - lineStart, '")" without "("');
        next++;
      } else {
        const start = next;
        let flags = 0;
        if (kind === quote) {
          next = this.#quoted(bytes, next + 1, end);
          if (next >= end && !isLast) return needsMore;
          if (next >= end || bytes[next] !== 0x22)
            return this.#fail(line, start - lineStart, "a quote that does not end on its line");
          flags = isQuoted | this.#escapes;
          this.#add(start + 1, next, line, start - lineStart, flags);
          next++;
          continue;
        }
        for (; next < end; next++) {
          const inner = charClass[bytes[next] as number] as number; // as: above
          if (inner === 0) continue;
          if (inner === escape) {
            flags |= hasEscape;
            next++;
          } else if (inner === quote) {
            flags |= hasQuotes;
            const last = this.#quoted(bytes, next + 1, end);
            if (last >= end && !isLast) return needsMore;
            if (last >= end || bytes[last] !== 0x22)
              return this.#fail(line, next - lineStart, "a quote that does not end on its line");
            flags |= this.#escapes;
            next = last;
          } else {
            break;
          }
        }
        if (next >= end && !isLast) return needsMore;
        // The character behind a backslash was skipped unseen.
        if (next > end || (next > start && bytes[next - 1] === 0x0a))
          return this.#fail(line, end - 1 - lineStart, "a backslash with nothing behind it");
        this.#add(start, next, line, start - lineStart, flags);
      }
    }
    this.line = line;
    return next;
  }

  /** Goes on behind the end of the line of a fault. @returns as {@link read} */
  skipLine(bytes: Uint8Array, at: number, end: number, isLast: boolean): number {
    const faultLine = this.fault?.line ?? this.line;
    let line = this.line;
    for (let next = at; next < end; next++) {
      if (bytes[next] !== 0x0a) continue;
      if (++line <= faultLine) continue;
      this.line = line;
      return next + 1;
    }
    return isLast ? end : needsMore;
  }

  #escapes = 0;

  /** Where the quote ends, or the line or the bytes do. */
  #quoted(bytes: Uint8Array, at: number, end: number): number {
    this.#escapes = 0;
    let next = at;
    for (; next < end && bytes[next] !== 0x22 && bytes[next] !== 0x0a; next++) {
      if (bytes[next] !== 0x5c) continue;
      this.#escapes = hasEscape;
      next++;
      if (next < end && bytes[next] === 0x0a) break;
    }
    return next;
  }

  #add(start: number, end: number, line: number, column: number, flags: number): void {
    const at = this.count++;
    if (at === this.starts.length) this.#grow();
    this.starts[at] = start;
    this.ends[at] = end;
    this.lines[at] = line;
    this.columns[at] = column + 1;
    this.flags[at] = flags;
  }

  #grow(): void {
    const length = this.count * 2;
    this.starts = grown(this.starts, new Int32Array(length));
    this.ends = grown(this.ends, new Int32Array(length));
    this.lines = grown(this.lines, new Int32Array(length));
    this.columns = grown(this.columns, new Int32Array(length));
    this.flags = grown(this.flags, new Uint8Array(length));
  }

  #fail(line: number, column: number, what: string): number {
    this.fault = { line, column: column + 1, what };
    return malformed;
  }
}

function grown<T extends Int32Array | Uint8Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
