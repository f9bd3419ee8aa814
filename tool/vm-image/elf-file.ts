import { Buffer } from "node:buffer";
import { FormatError } from "./image-failure.ts";

/** Values of p_type (System V ABI, "Program Header"). */
export const segmentType = { load: 1, dynamic: 2, interpreter: 3, note: 4 } as const;

/** Bits of p_flags. */
export const segmentFlag = { execute: 1, write: 2, read: 4 } as const;

/** One program header. Numbers are bytes and addresses. */
export interface ElfSegment {
  readonly type: number;
  readonly flags: number;
  readonly offset: number;
  /** Virtual; kernels' are in the upper half, where a double is not exact. */
  readonly address: bigint;
  readonly physical: bigint;
  readonly fileSize: number;
  readonly memorySize: bigint;
  readonly alignment: bigint;
}

export interface ElfSection {
  readonly name: string;
  readonly type: number;
  readonly address: bigint;
  readonly offset: number;
  readonly size: number;
  readonly link: number;
  readonly entrySize: number;
}

export interface ElfSymbol {
  readonly name: string;
  readonly value: bigint;
  readonly size: bigint;
  readonly isFunction: boolean;
  /** Whether this file has it, or wants it from another. */
  readonly defined: boolean;
}

/** A version of an interface that a library must have: `GLIBC_2.28` of `libc.so.6`. */
export interface NeededVersion {
  readonly library: string;
  readonly version: string;
}

/** Tables of a file at most, so that a broken one ends soon. */
const mostRecords = 1_000_000;

const sectionType = { symbols: 2, strings: 3, noBits: 8 } as const;
const dynamicTag = { needed: 1, strings: 5, stringsSize: 10, soname: 14, rpath: 15, runpath: 29 } as const;
const versionTag = { definitions: 0x6ffffffc, definitionCount: 0x6ffffffd, needs: 0x6ffffffe, needCount: 0x6fffffff };
const functionType = 2;

/**
 * A 64-bit little-endian ELF file, checked as far as it is read: whatever the bytes are, methods give what lies inside
 * the file or throw FormatError.
 */
export class ElfFile {
  readonly bytes: Buffer;
  /** ET_EXEC is 2, ET_DYN is 3. */
  readonly type: number;
  /** EM_X86_64 is 62. */
  readonly machine: number;
  readonly entry: bigint;
  readonly segments: readonly ElfSegment[];

  /** @throws FormatError */
  constructor(bytes: Uint8Array) {
    const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.bytes = file;
    if (file.length < 64 || file.readUInt32BE(0) !== 0x7f454c46) throw new FormatError("this is no ELF file", 0);
    if (file[4] !== 2) throw new FormatError("this ELF file is not a 64-bit one", 4);
    if (file[5] !== 1) throw new FormatError("this ELF file is not little-endian", 5);
    this.type = file.readUInt16LE(16);
    this.machine = file.readUInt16LE(18);
    this.entry = file.readBigUInt64LE(24);
    const count = file.readUInt16LE(56);
    if (count > 0 && file.readUInt16LE(54) !== 56)
      throw new FormatError("the program headers are not 56 bytes long", 54);
    const at = this.#offset(32);
    this.#check(at, count * 56, 32);
    this.segments = Array.from({ length: count }, (_, index) => this.#segment(at + index * 56));
  }

  /** The path of the dynamic loader; `undefined` for libraries and static programs. */
  get interpreter(): string | undefined {
    const segment = this.segments.find(({ type }) => type === segmentType.interpreter);
    return segment === undefined ? undefined : this.#text(segment.offset, segment.offset + segment.fileSize);
  }

  /** Names of the libraries that it wants (DT_NEEDED), in order. */
  needed(): readonly string[] {
    const strings = this.#dynamicStrings();
    return this.#dynamic()
      .filter(({ tag }) => tag === dynamicTag.needed)
      .map(({ value }) => strings(value));
  }

  /** Folders in which its libraries are looked for (DT_RUNPATH, else DT_RPATH), `$ORIGIN` and all. */
  runPath(): readonly string[] {
    const dynamic = this.#dynamic();
    const found =
      dynamic.find(({ tag }) => tag === dynamicTag.runpath) ?? dynamic.find(({ tag }) => tag === dynamicTag.rpath);
    return found === undefined ? [] : this.#dynamicStrings()(found.value).split(":");
  }

  /** The versions that it wants of its libraries (DT_VERNEED). */
  neededVersions(): readonly NeededVersion[] {
    const list: NeededVersion[] = [];
    const strings = this.#dynamicStrings();
    for (const need of this.#chain(versionTag.needs, versionTag.needCount, 16, 12)) {
      const library = strings(this.bytes.readUInt32LE(need + 4));
      let at = need + this.bytes.readUInt32LE(need + 8);
      for (let left = this.bytes.readUInt16LE(need + 2); left > 0; left--) {
        this.#check(at, 16, need);
        const weak = (this.bytes.readUInt16LE(at + 4) & 2) !== 0;
        if (!weak) list.push({ library, version: strings(this.bytes.readUInt32LE(at + 8)) });
        const next = this.bytes.readUInt32LE(at + 12);
        if (next === 0) break;
        at += next;
      }
      if (list.length > mostRecords) throw new FormatError("there are too many versions", need);
    }
    return list;
  }

  /** The versions that it has to offer (DT_VERDEF), its own name among them. */
  definedVersions(): readonly string[] {
    const strings = this.#dynamicStrings();
    return this.#chain(versionTag.definitions, versionTag.definitionCount, 20, 16).map((at) => {
      const auxiliary = at + this.bytes.readUInt32LE(at + 12);
      this.#check(auxiliary, 8, at);
      return strings(this.bytes.readUInt32LE(auxiliary));
    });
  }

  /** Empty when they were stripped. */
  sections(): readonly ElfSection[] {
    const at = this.#offset(40);
    const count = this.bytes.readUInt16LE(60);
    if (at === 0 || count === 0) return [];
    if (this.bytes.readUInt16LE(58) !== 64) throw new FormatError("the section headers are not 64 bytes long", 58);
    this.#check(at, count * 64, 40);
    const names = this.bytes.readUInt16LE(62);
    const headers = Array.from({ length: count }, (_, index) => at + index * 64);
    const nameHeader = headers[names];
    if (nameHeader === undefined) throw new FormatError("the section with the names does not exist", 62);
    const table = this.#sectionBytes(nameHeader);
    return headers.map((header) => ({
      name: this.#text(table.offset + this.bytes.readUInt32LE(header), table.offset + table.size),
      type: this.bytes.readUInt32LE(header + 4),
      address: this.bytes.readBigUInt64LE(header + 16),
      ...this.#sectionBytes(header),
      link: this.bytes.readUInt32LE(header + 40),
      entrySize: this.#offset(header + 56),
    }));
  }

  /** The symbol table, in its order; empty when it was stripped. */
  symbols(): readonly ElfSymbol[] {
    const sections = this.sections();
    const table = sections.find(({ type }) => type === sectionType.symbols);
    if (table === undefined) return [];
    const strings = sections[table.link];
    if (strings?.type !== sectionType.strings) throw new FormatError("the symbols have no names", table.offset);
    if (table.entrySize !== 24) throw new FormatError("symbols are not 24 bytes long", table.offset);
    return Array.from({ length: Math.floor(table.size / 24) }, (_, index) => {
      const at = table.offset + index * 24;
      return {
        name: this.#text(strings.offset + this.bytes.readUInt32LE(at), strings.offset + strings.size),
        value: this.bytes.readBigUInt64LE(at + 8),
        size: this.bytes.readBigUInt64LE(at + 16),
        isFunction: ((this.bytes[at + 4] ?? 0) & 15) === functionType,
        defined: this.bytes.readUInt16LE(at + 6) !== 0,
      };
    });
  }

  /** Where the file holds `length` bytes at a virtual address; `undefined` when it does not. */
  fileOffset(address: bigint, length: number): number | undefined {
    for (const segment of this.segments) {
      if (segment.type !== segmentType.load || address < segment.address) continue;
      const inside = address - segment.address;
      if (inside + BigInt(length) <= BigInt(segment.fileSize)) return segment.offset + Number(inside);
    }
    return undefined;
  }

  #segment(at: number): ElfSegment {
    const segment: ElfSegment = {
      type: this.bytes.readUInt32LE(at),
      flags: this.bytes.readUInt32LE(at + 4),
      offset: this.#offset(at + 8),
      address: this.bytes.readBigUInt64LE(at + 16),
      physical: this.bytes.readBigUInt64LE(at + 24),
      fileSize: this.#offset(at + 32),
      memorySize: this.bytes.readBigUInt64LE(at + 40),
      alignment: this.bytes.readBigUInt64LE(at + 48),
    };
    this.#check(segment.offset, segment.fileSize, at);
    return segment;
  }

  #sectionBytes(header: number): { readonly offset: number; readonly size: number } {
    const offset = this.#offset(header + 24);
    const size = this.#offset(header + 32);
    if (this.bytes.readUInt32LE(header + 4) !== sectionType.noBits) this.#check(offset, size, header);
    return { offset, size };
  }

  #dynamic(): readonly { readonly tag: number; readonly value: number }[] {
    const segment = this.segments.find(({ type }) => type === segmentType.dynamic);
    if (segment === undefined) return [];
    const list: { tag: number; value: number }[] = [];
    for (let at = segment.offset; at + 16 <= segment.offset + segment.fileSize; at += 16) {
      const tag = this.#offset(at);
      if (tag === 0) break;
      list.push({ tag, value: this.#offset(at + 8) });
      if (list.length > mostRecords) throw new FormatError("the dynamic section is too long", at);
    }
    return list;
  }

  #dynamicStrings(): (index: number) => string {
    const dynamic = this.#dynamic();
    const address = dynamic.find(({ tag }) => tag === dynamicTag.strings)?.value;
    const size = dynamic.find(({ tag }) => tag === dynamicTag.stringsSize)?.value;
    if (address === undefined || size === undefined) return () => "";
    const offset =
      Number.isFinite(address) && Number.isFinite(size) ? this.fileOffset(BigInt(address), size) : undefined;
    if (offset === undefined) throw new FormatError("the dynamic section's names lie outside the file", 0);
    return (index) => this.#text(offset + index, offset + size);
  }

  /** The offsets of version records, which are linked by distances at `next` within each. */
  #chain(tag: number, countTag: number, size: number, next: number): readonly number[] {
    const dynamic = this.#dynamic();
    const address = dynamic.find((each) => each.tag === tag)?.value;
    const count = dynamic.find((each) => each.tag === countTag)?.value ?? 0;
    if (address === undefined) return [];
    const offset = Number.isFinite(address) ? this.fileOffset(BigInt(address), 0) : undefined;
    if (offset === undefined || count > mostRecords) throw new FormatError("the versions lie outside the file", 0);
    const list: number[] = [];
    for (let at = offset; list.length < count;) {
      this.#check(at, size, offset);
      list.push(at);
      const distance = this.bytes.readUInt32LE(at + next);
      if (distance === 0) break;
      at += distance;
    }
    return list;
  }

  /** A NUL-terminated text that ends before `end`. */
  #text(start: number, end: number): string {
    const zero = start < end && end <= this.bytes.length ? this.bytes.indexOf(0, start) : -1;
    if (zero < 0 || zero >= end) throw new FormatError("a name has no end", start);
    return this.bytes.toString("utf8", start, zero);
  }

  /** A 64-bit number; infinite when a double cannot hold it, which no check of bounds lets pass. */
  #offset(at: number): number {
    const value = this.bytes.readBigUInt64LE(at);
    return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : Infinity;
  }

  #check(offset: number, length: number, at: number): void {
    if (!(offset + length <= this.bytes.length)) throw new FormatError("something lies outside the file", at);
  }
}
