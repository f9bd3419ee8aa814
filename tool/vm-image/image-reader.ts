import { Buffer } from "node:buffer";
import type { Content } from "./content.ts";
import { crc32 } from "@tesserae/wire/crc32";
import { FormatError } from "./image-failure.ts";
import {
  headerSize,
  imageMagic,
  imageVersion,
  mostEntries,
  pageSize,
  parentOf,
  pathProblem,
  recordSize,
  sparseFlag,
  type PlacedEntry,
} from "./image-layout.ts";

const typeMask = 0o170000;
const directoryType = 0o040000;
const fileType = 0o100000;
const linkType = 0o120000;

/** What {@link ReadImage.bytes} unpacks at most: a small image can hold files of zeros of any size. */
const mostSparseBytes = 1024 * 1024 * 1024;

/** An image that was checked: every entry lies inside it. */
export interface ReadImage {
  /** In byte order of their paths; the root is the first. */
  readonly entries: readonly PlacedEntry[];
  find(path: string): PlacedEntry | undefined;
  /** All bytes of a file, or the target of a link. @throws FormatError when a sparse file's table is broken. */
  bytes(entry: PlacedEntry): Uint8Array;
}

/** Reads and checks an image of version 1. @throws FormatError that says what is wrong and where. */
export function readImage(image: Content): ReadImage {
  if (image.size < headerSize) throw new FormatError("the file is shorter than an image's header", image.size);
  const header = Buffer.from(image.read(0, headerSize));
  if (header.toString("latin1", 0, 8) !== imageMagic) throw new FormatError("this is no image: the magic is wrong", 0);
  const version = header.readUInt32LE(8);
  if (version !== imageVersion) throw new FormatError(`the image has version ${String(version)}, not 1`, 8);
  const count = header.readUInt32LE(12);
  if (count === 0 || count > mostEntries) throw new FormatError(`${String(count)} entries are out of bounds`, 12);
  const size = readU64(header, 16);
  if (size !== image.size || size % pageSize !== 0) {
    throw new FormatError(`the image says that it has ${String(size)} bytes, not ${String(image.size)}`, 16);
  }
  const stringsLength = header.readUInt32LE(24);
  const stringsAt = headerSize + count * recordSize;
  if (stringsAt + stringsLength > size) throw new FormatError("the records and paths do not fit in the image", 24);
  const table = Buffer.from(image.read(headerSize, stringsAt + stringsLength - headerSize));
  if (crc32(table) !== header.readUInt32LE(28)) throw new FormatError("the checksum of the records is wrong", 28);
  if (header.subarray(32).some((byte) => byte !== 0)) throw new FormatError("reserved bytes are not 0", 32);
  const strings = table.subarray(count * recordSize);
  const first = Math.ceil((stringsAt + stringsLength) / pageSize) * pageSize;
  const entries: PlacedEntry[] = [];
  const byPath = new Map<string, PlacedEntry>();
  for (let index = 0; index < count; index++) {
    const entry = readRecord(table.subarray(index * recordSize), headerSize + index * recordSize, strings, size, first);
    checkOrder(entries, entry, headerSize + index * recordSize);
    entries.push(entry);
    byPath.set(entry.path, entry);
  }
  return {
    entries,
    find: (path) => byPath.get(path),
    bytes: (entry) => (entry.sparse ? sparseBytes(image, entry) : image.read(entry.offset, entry.size).slice()),
  };
}

function readRecord(record: Buffer, at: number, strings: Buffer, size: number, first: number): PlacedEntry {
  const name = record.readUInt32LE(0);
  const end = name < strings.length ? strings.indexOf(0, name) : -1;
  if (end < 0) throw new FormatError("a path lies outside the paths", at);
  const path = strings.toString("utf8", name, end);
  const problem = pathProblem(path);
  if (problem !== undefined) throw new FormatError(`the path ${JSON.stringify(path)} ${problem}`, at);
  const mode = record.readUInt32LE(4);
  const flags = record.readUInt32LE(12);
  const type = mode & typeMask;
  const bits = mode >>> 16 !== 0 || ![directoryType, fileType, linkType].includes(type);
  if (bits) throw new FormatError(`${path}: mode 0${mode.toString(8)} is none of a file, directory or link`, at + 4);
  if (flags > (type === fileType ? sparseFlag : 0)) throw new FormatError(`${path}: unknown flags`, at + 12);
  const offset = readU64(record, 16);
  const entry: PlacedEntry = {
    path,
    mode,
    parent: record.readUInt32LE(8),
    sparse: flags === sparseFlag,
    offset,
    size: readU64(record, 24),
    stored: readU64(record, 32),
  };
  if (readU64(record, 40) !== 0) throw new FormatError(`${path}: reserved bytes are not 0`, at + 40);
  if (type === directoryType) {
    if (entry.size !== 0 || entry.stored !== 0 || offset !== 0) throw new FormatError(`${path}: has data`, at + 16);
    return entry;
  }
  if (offset % pageSize !== 0 || offset < first || offset + entry.stored > size) {
    throw new FormatError(`${path}: the data lie outside the image`, at + 16);
  }
  const least = entry.sparse ? Math.ceil(Math.ceil(entry.size / pageSize) / 1024) * pageSize : entry.size;
  if (entry.sparse ? entry.stored < least || entry.stored % pageSize !== 0 : entry.stored !== least) {
    throw new FormatError(`${path}: ${String(entry.stored)} bytes are not what a file of this size takes`, at + 32);
  }
  return entry;
}

function checkOrder(before: readonly PlacedEntry[], entry: PlacedEntry, at: number): void {
  const last = before.at(-1);
  if (last === undefined) {
    if (entry.path !== "/" || (entry.mode & typeMask) !== directoryType) {
      throw new FormatError("the first entry is not the root directory", at);
    }
    if (entry.parent !== 0) throw new FormatError("the root directory lies in another one", at + 8);
    return;
  }
  if (Buffer.compare(Buffer.from(last.path), Buffer.from(entry.path)) >= 0) {
    throw new FormatError(`${entry.path}: not in order`, at);
  }
  const parent = before[entry.parent];
  if (parent?.path !== parentOf(entry.path) || (parent.mode & typeMask) !== directoryType) {
    throw new FormatError(`${entry.path}: its directory is not the one that is named`, at + 8);
  }
}

function sparseBytes(image: Content, entry: PlacedEntry): Uint8Array {
  if (entry.size > mostSparseBytes) throw new FormatError(`${entry.path}: larger than 1 GiB`, entry.offset);
  const count = Math.ceil(entry.size / pageSize);
  const table = Buffer.from(image.read(entry.offset, count * 4));
  const bytes = new Uint8Array(entry.size);
  for (let index = 0; index < count; index++) {
    const page = table.readUInt32LE(index * 4);
    if (page === 0) continue;
    const length = Math.min(pageSize, entry.size - index * pageSize);
    const at = page * pageSize;
    if (at < entry.offset || at + length > entry.offset + entry.stored) {
      throw new FormatError(`${entry.path}: page ${String(index)} lies outside its data`, entry.offset + index * 4);
    }
    bytes.set(image.read(at, length), index * pageSize);
  }
  return bytes;
}

/** Numbers that a double cannot hold exactly become infinite, and so fail every check of bounds. */
function readU64(bytes: Buffer, at: number): number {
  const value = bytes.readBigUInt64LE(at);
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : Infinity;
}
