import { Buffer } from "node:buffer";
import { FormatError, ImageFailure } from "./image-failure.ts";
import { filterLocaleIndex } from "./icu-locale-index.ts";

/** Which data for languages an image has: those of English, of everything, or of a list of locales (`["de", "pt-BR"]`). */
export type IcuChoice = "en" | "full" | readonly string[];

/** What became of the data. Sizes in bytes. */
export interface TrimmedIcu {
  /** `icudt78l`; empty when the program has none. */
  readonly name: string;
  /** Sorted languages that stay; empty for all. */
  readonly languages: readonly string[];
  readonly before: number;
  readonly after: number;
}

interface Entry {
  readonly name: string;
  readonly nameOffset: number;
  readonly start: number;
  readonly end: number;
}

const mostEntries = 100_000;
/** ICU aligns its items to this, in bytes. */
const alignment = 16;

/** Languages whose data are kept under other names too: former codes, and parents. */
const companions: Readonly<Record<string, readonly string[]>> = {
  nb: ["no", "nn"],
  nn: ["no", "nb"],
  no: ["nb", "nn"],
  he: ["iw"],
  id: ["in"],
  yi: ["ji"],
  fil: ["tl"],
  ro: ["mo"],
  sr: ["sh"],
  yue: ["zh"],
};

/** The languages that a dictionary of words is for: text without spaces is divided with it. */
const dictionaries: Readonly<Record<string, readonly string[]>> = {
  cjdict: ["zh", "ja", "yue"],
  thaidict: ["th"],
  laodict: ["lo"],
  burmesedict: ["my"],
  khmerdict: ["km"],
};

/**
 * Converters of text that a `TextDecoder` may open for an encoding that the Encoding Standard knows, among those that
 * are large. Small ones, of 256 characters, stay anyway.
 */
const largeConverters: ReadonlySet<string> = new Set([
  ...["gb18030-2022", "ibm-1386_P100-2001", "windows-936-2000"],
  ...["ibm-1373_P100-2002", "ibm-1375_P100-2008", "windows-950-2000"],
  ...["euc-jp-2007", "ibm-33722_P12A_P12A-2009_U2", "ibm-943_P15A-2003", "jisx-212"],
  ...["ibm-970_P110_P110-2006_U2", "ibm-1363_P11B-1998", "windows-949-2000"],
]);
const largeConverter = 8 * 1024;

/** The languages of a choice: `en` always, as it is what a system without a locale speaks. */
export function icuLanguages(choice: IcuChoice): readonly string[] {
  if (choice === "full") return [];
  const languages = new Set(["en"]);
  for (const locale of choice === "en" ? [] : choice) {
    const language = /^([a-z]{2,3})([-_][a-z0-9]+)*$/i.exec(locale)?.[1]?.toLowerCase();
    if (language === undefined) {
      throw new ImageFailure(`"${locale}" is no locale`, `give languages: "de", "pt-BR"; or "full"`);
    }
    for (const each of [language, ...(companions[language] ?? [])]) languages.add(each);
  }
  return [...languages].sort();
}

/**
 * Takes the data of other languages out of the ICU table inside a program, in place: what stays moves together, the
 * rest becomes zeros, and the program's layout is the same.
 *
 * Also goes what no JavaScript can reach: transliteration rules, the names of characters, and converters for encodings
 * that the web has no name for.
 *
 * @throws FormatError for a table that is not as ICU has it; ImageFailure for a choice that is no list of locales.
 */
export function trimIcu(program: Uint8Array, choice: IcuChoice): TrimmedIcu {
  const bytes = Buffer.from(program.buffer, program.byteOffset, program.length);
  const languages = icuLanguages(choice);
  const table = findTable(bytes);
  if (table === undefined) return { name: "", languages, before: 0, after: 0 };
  const entries = readEntries(bytes, table);
  const name = (entries[0]?.name ?? "").split("/", 1)[0] ?? "";
  const first = entries[0]?.start ?? table;
  const end = entries.at(-1)?.end ?? table;
  if (choice === "full") return { name, languages, before: end - first, after: end - first };
  const wanted = new Set(languages);
  const kept = entries.filter((entry) => isWanted(entry, wanted));
  let at = first;
  for (const [index, entry] of kept.entries()) {
    const length = entry.end - entry.start;
    at = Math.min(at, entry.start);
    bytes.copyWithin(at, entry.start, entry.end);
    if (entry.name.endsWith("/res_index.res")) {
      filterLocaleIndex(bytes.subarray(at, at + length), (locale) => isWantedLocale(locale, wanted), at);
    }
    bytes.writeUInt32LE(entry.nameOffset, table + 4 + index * 8);
    bytes.writeUInt32LE(at - table, table + 8 + index * 8);
    at = Math.ceil((at - table + length) / alignment) * alignment + table;
  }
  bytes.writeUInt32LE(kept.length, table);
  const after = Math.min(at, end) - first;
  bytes.fill(0, first + after, end);
  return { name, languages, before: end - first, after };
}

/** Where the table of contents of a common data file ("CmnD") begins. */
function findTable(bytes: Buffer): number | undefined {
  for (let at = bytes.indexOf("CmnD"); at >= 0; at = bytes.indexOf("CmnD", at + 1)) {
    const header = at - 12;
    // Two magic bytes, little-endian, ASCII (icu/source/common/unicode/udata.h, UDataInfo).
    if (header < 0 || bytes[header + 2] !== 0xda || bytes[header + 3] !== 0x27) continue;
    if (bytes[header + 8] !== 0 || bytes[header + 9] !== 0) continue;
    return header + bytes.readUInt16LE(header);
  }
  return undefined;
}

function readEntries(bytes: Buffer, table: number): readonly Entry[] {
  if (table + 4 > bytes.length) throw new FormatError("ICU's table lies outside the file", table);
  const count = bytes.readUInt32LE(table);
  if (count === 0 || count > mostEntries || table + 4 + count * 8 > bytes.length) {
    throw new FormatError(`ICU's table has ${String(count)} entries`, table);
  }
  const starts: number[] = [];
  for (let index = 0; index < count; index++) starts.push(table + bytes.readUInt32LE(table + 8 + index * 8));
  return starts.map((start, index) => {
    const at = table + 4 + index * 8;
    const nameOffset = bytes.readUInt32LE(at);
    const nameEnd = bytes.indexOf(0, table + nameOffset);
    // Nothing says how long the last one is. Its own header and index do.
    const end = starts[index + 1] ?? start + bundleLength(bytes, start);
    if (nameEnd < 0 || nameEnd - table - nameOffset > 255 || end < start || end > bytes.length) {
      throw new FormatError("an entry of ICU's table lies outside the file", at);
    }
    return { name: bytes.toString("latin1", table + nameOffset, nameEnd), nameOffset, start, end };
  });
}

/** The length of a resource bundle: its header, and what its index says (URES_INDEX_BUNDLE_TOP, in words). */
function bundleLength(bytes: Buffer, start: number): number {
  if (start + 32 > bytes.length || bytes.toString("latin1", start + 12, start + 16) !== "ResB") {
    throw new FormatError("the last entry of ICU's table is no resource bundle", start);
  }
  const header = bytes.readUInt16LE(start);
  if (start + header + 20 > bytes.length) throw new FormatError("a resource bundle lies outside the file", start);
  return header + bytes.readUInt32LE(start + header + 16) * 4;
}

function isWanted({ name, start, end }: Entry, languages: ReadonlySet<string>): boolean {
  const match = /^[^/]+\/(?:(.*)\/)?([^/]+)\.([a-z]+)$/.exec(name);
  const [, folder = "", base = "", type = ""] = match ?? [];
  if (type === "dict") return dictionaries[base]?.some((language) => languages.has(language)) ?? true;
  if (type === "cnv") return end - start < largeConverter || largeConverters.has(base);
  if (folder === "translit" || base === "unames") return false;
  return type !== "res" || isWantedLocale(base, languages);
}

/** Whether the bundle of this name is of one of the languages, or of none. */
function isWantedLocale(base: string, languages: ReadonlySet<string>): boolean {
  const language = /^([a-z]{2,3})(?:_|$)/.exec(base)?.[1];
  return language === undefined || base === "res_index" || languages.has(language);
}
