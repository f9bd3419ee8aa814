import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { ElfFile } from "./elf-file.ts";
import { FormatError } from "./image-failure.ts";
import { strip } from "./strip.ts";

/** What {@link sampleElf} is to say. */
export interface SampleElf {
  readonly interpreter?: string;
  readonly needed?: readonly string[];
  readonly runPath?: string;
  readonly needs?: readonly (readonly [library: string, version: string])[];
  readonly defines?: readonly string[];
  /** Functions, by their address. */
  readonly symbols?: Readonly<Record<string, number>>;
  readonly machine?: number;
}

/** A little ELF file with the parts that the reader reads: one segment from address 0 on, and sections behind it. */
export function sampleElf(sample: SampleElf): Buffer {
  const strings = new StringTable();
  const tags: (readonly [number, number])[] = (sample.needed ?? []).map((name) => [1, strings.add(name)]);
  if (sample.runPath !== undefined) tags.push([29, strings.add(sample.runPath)]);
  const needs = (sample.needs ?? []).map(([library, version], index, all) => {
    const record = Buffer.alloc(32);
    record.writeUInt16LE(1, 0);
    record.writeUInt16LE(1, 2);
    record.writeUInt32LE(strings.add(library), 4);
    record.writeUInt32LE(16, 8);
    record.writeUInt32LE(index + 1 < all.length ? 32 : 0, 12);
    record.writeUInt32LE(strings.add(version), 24);
    return record;
  });
  const defines = (sample.defines ?? []).map((version, index, all) => {
    const record = Buffer.alloc(28);
    record.writeUInt16LE(1, 0);
    record.writeUInt16LE(1, 6);
    record.writeUInt32LE(20, 12);
    record.writeUInt32LE(index + 1 < all.length ? 28 : 0, 16);
    record.writeUInt32LE(strings.add(version), 20);
    return record;
  });
  const text = strings.bytes();
  const interpreter = Buffer.from(`${sample.interpreter ?? ""}\0`);
  const headers = 64 + 3 * 56;
  const needsAt = headers + interpreter.length;
  const definesAt = needsAt + needs.length * 32;
  const textAt = definesAt + defines.length * 28;
  const dynamicAt = textAt + text.length;
  tags.push([5, textAt], [10, text.length]);
  if (needs.length > 0) tags.push([0x6ffffffe, needsAt], [0x6fffffff, needs.length]);
  if (defines.length > 0) tags.push([0x6ffffffc, definesAt], [0x6ffffffd, defines.length]);
  const dynamic = Buffer.alloc((tags.length + 1) * 16);
  for (const [index, [tag, value]] of tags.entries()) {
    dynamic.writeUInt32LE(tag, index * 16);
    dynamic.writeUInt32LE(value, index * 16 + 8);
  }
  const loaded = dynamicAt + dynamic.length;
  const names = new StringTable();
  const symbols = Object.entries(sample.symbols ?? {}).map(([name, address]) => {
    const symbol = Buffer.alloc(24);
    symbol.writeUInt32LE(names.add(name), 0);
    symbol.writeUInt8(2, 4);
    symbol.writeUInt16LE(1, 6);
    symbol.writeUInt32LE(address, 8);
    return symbol;
  });
  const symbolBytes = Buffer.concat([Buffer.alloc(24), ...symbols]);
  const nameBytes = names.bytes();
  const sectionNames = Buffer.from("\0.symtab\0.strtab\0");
  const namesAt = loaded + symbolBytes.length;
  const sectionNamesAt = namesAt + nameBytes.length;
  const header = Buffer.alloc(headers);
  header.write("\x7fELF\x02\x01\x01", 0, "latin1");
  header.writeUInt16LE(3, 16);
  header.writeUInt16LE(sample.machine ?? 62, 18);
  header.writeUInt32LE(1, 20);
  header.writeUInt32LE(64, 32);
  header.writeUInt32LE(sectionNamesAt + sectionNames.length, 40);
  header.writeUInt16LE(64, 52);
  header.writeUInt16LE(56, 54);
  header.writeUInt16LE(3, 56);
  header.writeUInt16LE(64, 58);
  header.writeUInt16LE(4, 60);
  header.writeUInt16LE(3, 62);
  const segment = (index: number, type: number, at: number, size: number): void => {
    header.writeUInt32LE(type, 64 + index * 56);
    header.writeUInt32LE(4, 68 + index * 56);
    for (const field of [8, 16, 24]) header.writeUInt32LE(at, 64 + index * 56 + field);
    for (const field of [32, 40]) header.writeUInt32LE(size, 64 + index * 56 + field);
  };
  segment(0, 1, 0, loaded);
  segment(1, 2, dynamicAt, dynamic.length);
  segment(2, sample.interpreter === undefined ? 0 : 3, headers, interpreter.length);
  const sections = Buffer.alloc(4 * 64);
  const section = (index: number, name: number, type: number, at: number, size: number): void => {
    sections.writeUInt32LE(name, index * 64);
    sections.writeUInt32LE(type, index * 64 + 4);
    sections.writeUInt32LE(at, index * 64 + 24);
    sections.writeUInt32LE(size, index * 64 + 32);
    sections.writeUInt32LE(2, index * 64 + 40);
    sections.writeUInt32LE(type === 2 ? 24 : 0, index * 64 + 56);
  };
  section(1, 1, 2, loaded, symbolBytes.length);
  section(2, 9, 3, namesAt, nameBytes.length);
  section(3, 9, 3, sectionNamesAt, sectionNames.length);
  return Buffer.concat([
    ...[header, interpreter, ...needs, ...defines, text, dynamic, symbolBytes, nameBytes, sectionNames, sections],
  ]);
}

class StringTable {
  #text = "\0";

  add(text: string): number {
    const at = Buffer.byteLength(this.#text);
    this.#text += `${text}\0`;
    return at;
  }

  bytes(): Buffer {
    return Buffer.from(this.#text);
  }
}

const parts: readonly ((elf: ElfFile) => unknown)[] = [
  (elf) => elf.interpreter,
  (elf) => elf.needed(),
  (elf) => elf.runPath(),
  (elf) => elf.neededVersions(),
  (elf) => elf.definedVersions(),
  (elf) => elf.sections(),
  (elf) => elf.symbols(),
  (elf) => elf.fileOffset(elf.entry, 4),
  (elf) => strip(elf.bytes),
];

/** Whatever the file says, what is read lies inside it. */
export const fuzz: FuzzTarget = {
  name: "elf-file",
  seeds: [
    sampleElf({
      interpreter: "/lib64/ld.so",
      needed: ["libm.so.6", "libc.so.6"],
      runPath: "/opt/lib:/usr/lib",
      needs: [["libc.so.6", "GLIBC_2.28"]],
      defines: ["LIBX_1.0", "LIBX_1.1"],
      symbols: { main: 64, helper: 128 },
    }),
  ],
  run(input) {
    const attempt = (read: () => unknown): void => {
      try {
        read();
      } catch (error) {
        if (!(error instanceof FormatError)) throw error;
      }
    };
    attempt(() => {
      const elf = new ElfFile(input);
      for (const part of parts) attempt(() => part(elf));
    });
  },
};
