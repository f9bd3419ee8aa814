import { parsePeriod, RecordScanner } from "../record/scanner.ts";
import { scanData } from "../record/text.ts";
import { className, typeName } from "../record/type-name.ts";
import { recordClass, recordType } from "../wire.ts";
import type { WireRecord } from "../wire-record.ts";
import { fillTemplate, type GenerateRange, parseRange, parseTemplate, type Template } from "./generate.ts";
import { ended, EntryInput, longestEntry, type MasterFileInput, tooLong } from "./input.ts";
import { isQuoted, malformed, Tokens } from "./tokens.ts";
import { classWord, noWord, wordCode } from "./word.ts";

/** Files that one `$INCLUDE` inside another may be deep, and that one master file may include in all. */
const deepestInclude = 10;
const mostIncludes = 1000;
const longestTtl = 0x7fffffff;

export interface MasterFileOptions {
  /** What `@` is, and completes relative names, until `$ORIGIN` says otherwise. Without it there must be one. */
  readonly origin?: Uint8Array;
  /** What errors call the file. Default `zone`. */
  readonly source?: string;
  /** The class of all records. Default IN. */
  readonly class?: number;
  /** The time to live of records before any that says its own, and without `$TTL`; seconds. */
  readonly ttl?: number;
  /** Opens what `$INCLUDE` names; `undefined` when it cannot be had. Without it `$INCLUDE` is refused. */
  readonly include?: (file: string, from: string) => MasterFileInput | undefined;
}

/** What is wrong with a master file, and where. */
export class MasterFileError {
  readonly source: string;
  /** From 1. */
  readonly line: number;
  /** In bytes, from 1. */
  readonly column: number;
  readonly what: string;

  constructor(source: string, line: number, column: number, what: string) {
    this.source = source;
    this.line = line;
    this.column = column;
    this.what = what;
  }

  /** `file:line:column: what`. */
  toString(): string {
    return `${this.source}:${this.line}:${this.column}: ${this.what}`;
  }
}

/** A `$GENERATE` that is under way. */
interface Generation extends GenerateRange {
  number: number;
  readonly owner: Template;
  readonly middle: string;
  readonly data: Template;
  readonly line: number;
}

/** A file that is being read, and what `$INCLUDE` gives back at its end. */
interface OpenFile {
  readonly input: EntryInput;
  readonly origin: Uint8Array | undefined;
  readonly owner: Uint8Array | undefined;
}

/**
 * Reads a master file (RFC 1035 §5, RFC 2308 §4, RFC 3597 §5) record by record, in memory that does not depend on its
 * length. What is wrong is told, and reading goes on with the next entry.
 */
export class MasterFileReader {
  readonly #options: MasterFileOptions;
  readonly #class: number;
  readonly #files: OpenFile[] = [];
  readonly #tokens = new Tokens();
  readonly #scanner: RecordScanner;
  /** Of `$GENERATE`. */
  readonly #made = new Tokens();
  #generation: Generation | undefined;
  #includes = 0;
  #origin: Uint8Array | undefined;
  #owner: Uint8Array | undefined;
  /** Of `$TTL`; −1 before it. */
  #defaultTtl = -1;
  /** Of the record before; −1 when there is none. */
  #lastTtl: number;

  constructor(input: MasterFileInput, options: MasterFileOptions = {}) {
    this.#options = options;
    this.#class = options.class ?? recordClass.IN;
    this.#origin = options.origin;
    this.#lastTtl = options.ttl ?? -1;
    this.#scanner = new RecordScanner(this.#tokens);
    this.#open(options.source ?? "zone", input);
  }

  /** The next record, or the next thing wrong; `undefined` at the end. */
  next(): WireRecord | MasterFileError | undefined {
    for (;;) {
      if (this.#generation !== undefined) {
        const made = this.#generate(this.#generation);
        if (made !== undefined) return made;
        continue;
      }
      const file = this.#files.at(-1);
      if (file === undefined) return undefined;
      const status = file.input.next(this.#tokens);
      if (status === ended) {
        this.#files.pop();
        if (this.#files.length > 0) {
          this.#origin = file.origin;
          this.#owner = file.owner;
        }
        continue;
      }
      if (status === tooLong) {
        return this.#error(file.input.entryLine, 1, `an entry longer than ${longestEntry} bytes: is a ")" missing?`);
      }
      if (status === malformed) {
        const { line, column, what } = this.#tokens.fault ?? { line: 0, column: 0, what: "malformed" };
        return this.#error(line, column, what);
      }
      if (this.#tokens.count === 0) continue;
      const result = this.#isDirective() ? this.#directive() : this.#record(this.#tokens);
      if (result !== undefined) return result;
    }
  }

  #open(name: string, input: MasterFileInput): void {
    this.#files.push({ input: new EntryInput(name, input), origin: this.#origin, owner: this.#owner });
  }

  #error(line: number, column: number, what: string): MasterFileError {
    return new MasterFileError(this.#files.at(-1)?.input.name ?? "", line, column, what);
  }

  /** An error at a token; behind the last one when there is no such token. */
  #errorAt(token: number, what: string): MasterFileError {
    const generation = this.#generation;
    if (generation !== undefined) {
      return this.#error(generation.line, 1, `$GENERATE at ${generation.number - generation.step}: ${what}`);
    }
    const { count, lines, columns, starts, ends } = this.#tokens;
    if (token < count) return this.#error(lines[token] ?? 0, columns[token] ?? 0, what);
    const last = count - 1;
    const length = (ends[last] ?? 0) - (starts[last] ?? 0);
    return this.#error(lines[last] ?? 0, (columns[last] ?? 0) + length, what);
  }

  /** The fault of the scanner as an error. */
  #faulty(): MasterFileError | undefined {
    const { fault } = this.#scanner;
    return fault === undefined ? undefined : this.#errorAt(fault.token, fault.what);
  }

  #record(tokens: Tokens): WireRecord | MasterFileError {
    const scanner = this.#scanner;
    const { bytes, starts, ends } = tokens;
    scanner.tokens = tokens;
    scanner.origin = this.#origin;
    scanner.reset(0);
    if (!tokens.beginsBlank) {
      scanner.name("owner");
      const faulty = this.#faulty();
      if (faulty !== undefined) return faulty;
      this.#takeOwner();
    }
    const owner = this.#owner;
    if (owner === undefined) return this.#errorAt(0, "a blank at the start of the line, and no record before it");
    let ttl = -1;
    let hasClass = false;
    let type = noWord;
    let at = scanner.next;
    for (; type === noWord; at++) {
      if (at >= tokens.count) return this.#errorAt(at, "the record's type is missing");
      const start = starts[at] ?? 0;
      const end = ends[at] ?? 0;
      const isNumber = (bytes[start] ?? 0) >= 0x30 && (bytes[start] ?? 0) <= 0x39;
      if (isNumber && ttl < 0) {
        ttl = parsePeriod(bytes, start, end);
        if (ttl < 0 || ttl > longestTtl) return this.#errorAt(at, "not a time to live: 0 to 2147483647 seconds");
        continue;
      }
      const code = isNumber ? noWord : wordCode(bytes, start, end);
      if (code === noWord) {
        scanner.next = at;
        return this.#errorAt(at, `"${scanner.peek()}" is not a record type (as in A, or TYPE65280)`);
      }
      if (code < classWord) {
        type = code;
      } else if (hasClass) {
        return this.#errorAt(at, "a second class");
      } else {
        hasClass = true;
        if (code - classWord !== this.#class) {
          const [found, wanted] = [className(code - classWord), className(this.#class)];
          return this.#errorAt(at, `the class ${found} in a zone of class ${wanted}`);
        }
      }
    }
    // OPT, and the types of questions (RFC 6895 §3.1).
    if (type === recordType.OPT || (type >= 249 && type <= 255)) {
      return this.#errorAt(at - 1, `${typeName(type)} is not a type that zones have`);
    }
    scanner.reset(at);
    scanData(scanner, type);
    const faulty = this.#faulty();
    if (faulty !== undefined) return faulty;
    const data = scanner.out.slice(0, scanner.length);
    if (ttl < 0) {
      ttl = this.#defaultTtl >= 0 ? this.#defaultTtl : this.#lastTtl;
      if (ttl < 0 && type === recordType.SOA) {
        // The last field is what negative answers live, and before RFC 2308 was the default for all.
        ttl = data.subarray(-4).reduce((value, byte) => value * 256 + byte, 0);
        if (ttl > longestTtl) ttl = 0;
      }
      if (ttl < 0) return this.#errorAt(0, "no time to live: neither here, nor before, nor a $TTL");
    }
    this.#lastTtl = ttl;
    return { owner, type, class: this.#class, ttl, data };
  }

  /** The scanner's bytes become the owner; the same array, when they are the same bytes. */
  #takeOwner(): void {
    const { out, length } = this.#scanner;
    const before = this.#owner;
    if (before?.length === length) {
      let at = 0;
      while (at < length && before[at] === out[at]) at++;
      if (at === length) return;
    }
    this.#owner = out.slice(0, length);
  }

  #isDirective(): boolean {
    const { bytes, starts, flags, beginsBlank } = this.#tokens;
    return !beginsBlank && bytes[starts[0] ?? 0] === 0x24 && ((flags[0] ?? 0) & isQuoted) === 0;
  }

  #directive(): MasterFileError | undefined {
    const scanner = this.#scanner;
    scanner.tokens = this.#tokens;
    scanner.origin = this.#origin;
    scanner.reset(0);
    const word = scanner.word("directive");
    switch (word.toUpperCase()) {
      case "$ORIGIN": {
        scanner.name("origin");
        const wrong = this.#leftOver();
        if (wrong === undefined) this.#setOrigin();
        return wrong;
      }
      case "$TTL": {
        const ttl = scanner.period("$TTL");
        if (ttl > longestTtl) scanner.fail("not a time to live: 0 to 2147483647 seconds");
        const wrong = this.#leftOver();
        if (wrong === undefined) this.#defaultTtl = ttl;
        return wrong;
      }
      case "$INCLUDE":
        return this.#include();
      case "$GENERATE":
        return this.#startGeneration();
      default:
        return this.#errorAt(0, `"${word}" is not a directive ($ORIGIN, $TTL, $INCLUDE, $GENERATE)`);
    }
  }

  #leftOver(): MasterFileError | undefined {
    const scanner = this.#scanner;
    if (scanner.fault === undefined && scanner.hasMore) scanner.fail("more than the directive takes", scanner.next);
    return this.#faulty();
  }

  #setOrigin(): void {
    this.#origin = this.#scanner.out.slice(0, this.#scanner.length);
  }

  #include(): MasterFileError | undefined {
    const scanner = this.#scanner;
    const file = String.fromCharCode(...scanner.unescaped("file name").subarray(0, 4096));
    scanner.length = 0;
    const hasOrigin = scanner.hasMore;
    if (hasOrigin) scanner.name("origin");
    const wrong = this.#leftOver();
    if (wrong !== undefined) return wrong;
    if (this.#files.length > deepestInclude) return this.#errorAt(0, `$INCLUDE more than ${deepestInclude} deep`);
    if (++this.#includes > mostIncludes) return this.#errorAt(0, `more than ${mostIncludes} files included`);
    const from = this.#files.at(-1)?.input.name ?? "";
    const { include } = this.#options;
    if (include === undefined) return this.#errorAt(0, "$INCLUDE is not allowed here");
    const input = include(file, from);
    if (input === undefined) return this.#errorAt(1, `"${file}" cannot be read`);
    this.#open(file, input);
    if (hasOrigin) this.#setOrigin();
    return undefined;
  }

  #startGeneration(): MasterFileError | undefined {
    const tokens = this.#tokens;
    const scanner = this.#scanner;
    const range = parseRange(scanner.word("range"));
    if (typeof range === "string") return this.#errorAt(1, range);
    const owner = parseTemplate(scanner.word("owner"));
    if (typeof owner === "string") return this.#errorAt(2, owner);
    const middle: string[] = [];
    for (;;) {
      const at = scanner.next;
      const word = scanner.word("type");
      if (scanner.fault !== undefined) return this.#faulty();
      middle.push(word);
      const code = wordCode(tokens.bytes, tokens.starts[at] ?? 0, tokens.ends[at] ?? 0);
      if (code !== noWord && code < classWord) break;
      if (middle.length > 3) return this.#errorAt(3, "no record type (as in A, or PTR)");
    }
    const data: string[] = [];
    const first = scanner.next;
    const isOne = tokens.count - first === 1;
    while (scanner.hasMore) {
      const flags = tokens.flags[scanner.next] ?? 0;
      const word = scanner.word("data");
      // A single text in quotes is the data's tokens (BIND's way to have several); others keep their quotes.
      data.push((flags & isQuoted) !== 0 && !isOne ? `"${word}"` : word);
    }
    const template = parseTemplate(data.join(" "));
    if (typeof template === "string") return this.#errorAt(first, template);
    this.#generation = {
      ...range,
      number: range.start,
      owner,
      middle: middle.join(" "),
      data: template,
      line: tokens.lines[0] ?? 0,
    };
    return undefined;
  }

  #generate(generation: Generation): WireRecord | MasterFileError | undefined {
    const { number, stop, step, owner, middle, data } = generation;
    if (number > stop) {
      this.#generation = undefined;
      return undefined;
    }
    generation.number += step;
    const [left, right] = [fillTemplate(owner, number), fillTemplate(data, number)];
    if (left === undefined || right === undefined) return this.#errorAt(0, "an offset makes the number negative");
    const made = this.#made;
    const bytes = new TextEncoder().encode(`${left} ${middle} ${right}`);
    made.line = 1;
    if (made.read(bytes, 0, bytes.length, true) < 0) return this.#errorAt(0, made.fault?.what ?? "malformed");
    return this.#record(made);
  }
}

/**
 * The records of a master file, and what is wrong with it, in the order of the file.
 *
 * The arrays of a record are its own, but for the owner, which records that follow each other share.
 */
export function* parseMasterFile(
  input: MasterFileInput,
  options: MasterFileOptions = {},
): Generator<WireRecord | MasterFileError, void, undefined> {
  const reader = new MasterFileReader(input, options);
  for (let item = reader.next(); item !== undefined; item = reader.next()) yield item;
}
