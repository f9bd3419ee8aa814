import { Buffer } from "node:buffer";
import { eachChunk, type Content } from "./content.ts";
import { crc32 } from "@tesserae/wire/crc32";
import { ImageFailure } from "./image-failure.ts";

/** The unit in which files lie in an image, in bytes: pages are mapped from it without a copy. */
export const pageSize = 4096;
export const headerSize = 64;
export const recordSize = 48;
export const imageMagic = "TESSERAE";
export const imageVersion = 1;
/** Files, directories and links in an image at most. */
export const mostEntries = 65_536;
export const sparseFlag = 1;

const directoryMode = 0o040755;
const fileMode = 0o100644;
const programMode = 0o100755;
const linkMode = 0o120777;

/** What to put into an image. Directories above it are made. */
export type ImageEntry =
  | { readonly kind: "directory"; readonly path: string }
  | { readonly kind: "link"; readonly path: string; readonly target: string }
  | {
      readonly kind: "file";
      readonly path: string;
      readonly content: Content;
      /** May be run as a program. Default: no. */
      readonly executable?: boolean;
      /** Whether pages of zeros are left out. Default: no. */
      readonly sparse?: boolean;
    };

/** One entry with its place. */
export interface PlacedEntry {
  readonly path: string;
  /** Linux's st_mode. */
  readonly mode: number;
  /** Index of the directory that it is in. */
  readonly parent: number;
  readonly sparse: boolean;
  /** In bytes from the beginning of the image; a multiple of {@link pageSize}. */
  readonly offset: number;
  /** In bytes. */
  readonly size: number;
  /** Bytes in the image: the size; of a sparse file, its table and pages, a multiple of {@link pageSize}. */
  readonly stored: number;
}

/** An image whose every byte has its place. */
export interface ImageLayout {
  /** In bytes: a multiple of {@link pageSize}. */
  readonly size: number;
  /** In byte order of their paths; the root is the first. */
  readonly entries: readonly PlacedEntry[];
  /** Gives all bytes to `write`, in order; they are the callee's until it returns. */
  write(write: (bytes: Uint8Array) => void): void;
}

/**
 * Gives every entry its place: a header of 64 bytes, a record of 48 bytes for each entry, their paths, then the files,
 * each from a page boundary on. A sparse file begins with a table: for each of its pages the page of the image that
 * holds it, or 0.
 *
 * The same entries give the same bytes, in whatever order they come.
 *
 * @throws ImageFailure for paths that are not absolute and normal, that come twice, or that lie below a file.
 */
export function layOut(entries: readonly ImageEntry[]): ImageLayout {
  const tree = sortedTree(entries);
  if (tree.length > mostEntries) {
    throw new ImageFailure(`an image has at most ${String(mostEntries)} files, not ${String(tree.length)}`);
  }
  const strings = Buffer.from(tree.map(({ path }) => `${path}\0`).join(""));
  const indexOf = new Map(tree.map(({ path }, index) => [path, index]));
  let end = roundUp(headerSize + tree.length * recordSize + strings.length);
  const placed: PlacedEntry[] = [];
  const tables = new Map<number, Uint32Array>();
  for (const [index, entry] of tree.entries()) {
    const parent = indexOf.get(parentOf(entry.path)) ?? 0;
    const base = { path: entry.path, parent, sparse: false, offset: 0, size: 0, stored: 0 };
    if (entry.kind === "directory") {
      placed.push({ ...base, mode: directoryMode });
      continue;
    }
    const mode = entry.kind === "link" ? linkMode : entry.executable === true ? programMode : fileMode;
    const size = entry.kind === "link" ? Buffer.byteLength(entry.target) : entry.content.size;
    let stored = size;
    const sparse = entry.kind === "file" && entry.sparse === true && size > 0;
    if (sparse) {
      const table = sparseTable(entry.content, end / pageSize);
      tables.set(index, table.pages);
      stored = table.stored;
    }
    placed.push({ ...base, mode, sparse, offset: end, size, stored });
    end = roundUp(end + stored);
  }
  return {
    size: end,
    entries: placed,
    write(write) {
      const head = roundUp(headerSize + tree.length * recordSize + strings.length);
      const bytes = new Uint8Array(head);
      writeRecords(bytes, placed, strings, end);
      write(bytes);
      for (const [index, entry] of tree.entries()) {
        if (entry.kind === "directory") continue;
        if (entry.kind === "link") write(padded(Buffer.from(entry.target)));
        else writeFile(entry.content, tables.get(index), write);
      }
    },
  };
}

/** The least multiple of {@link pageSize} that is not less. */
export function roundUp(bytes: number): number {
  return Math.ceil(bytes / pageSize) * pageSize;
}

/** The path of the directory that `path` is in: "/" for what lies at the top. */
export function parentOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash <= 0 ? "/" : path.slice(0, slash);
}

/** Why this cannot be the path of an entry, in words; `undefined` when it can. */
export function pathProblem(path: string): string | undefined {
  if (path === "/") return undefined;
  if (!path.startsWith("/")) return "is not absolute";
  if (path.includes("\0")) return "has a NUL byte";
  if (Buffer.byteLength(path) > 4095) return "is longer than 4095 bytes";
  for (const part of path.slice(1).split("/")) {
    if (part === "") return "has an empty part";
    if (part === "." || part === "..") return `has a part "${part}"`;
    if (Buffer.byteLength(part) > 255) return "has a part longer than 255 bytes";
  }
  return undefined;
}

function sortedTree(entries: readonly ImageEntry[]): readonly ImageEntry[] {
  const byPath = new Map<string, ImageEntry>();
  for (const entry of entries) {
    const problem = pathProblem(entry.path);
    if (problem !== undefined) throw new ImageFailure(`"${entry.path}" cannot be in an image: it ${problem}`);
    const before = byPath.get(entry.path);
    if (before !== undefined && (before.kind !== "directory" || entry.kind !== "directory")) {
      throw new ImageFailure(`"${entry.path}" is to be in the image twice`);
    }
    if (entry.path === "/" && entry.kind !== "directory") throw new ImageFailure(`"/" can only be a directory`);
    if (entry.kind === "link" && (entry.target === "" || Buffer.byteLength(entry.target) > 4095)) {
      throw new ImageFailure(`"${entry.path}" cannot be in an image: its target is empty or longer than 4095 bytes`);
    }
    byPath.set(entry.path, entry);
  }
  for (const { path } of entries) {
    for (let above = parentOf(path); ; above = parentOf(above)) {
      const found = byPath.get(above);
      if (found === undefined) byPath.set(above, { kind: "directory", path: above });
      else if (found.kind !== "directory" && above !== path) {
        throw new ImageFailure(`"${path}" cannot be in an image: "${above}" is no directory`);
      }
      if (above === "/") break;
    }
  }
  if (!byPath.has("/")) byPath.set("/", { kind: "directory", path: "/" });
  const sorted = [...byPath.values()].map((entry) => ({ entry, key: Buffer.from(entry.path) }));
  return sorted.sort((a, b) => Buffer.compare(a.key, b.key)).map(({ entry }) => entry);
}

/** Where each page of a sparse file comes to lie when its table begins at page `first` of the image; 0 for zeros. */
function sparseTable(content: Content, first: number): { readonly pages: Uint32Array; readonly stored: number } {
  const count = Math.ceil(content.size / pageSize);
  const pages = new Uint32Array(count);
  const tablePages = Math.ceil((count * 4) / pageSize);
  let next = first + tablePages;
  eachChunk(content, (bytes, offset) => {
    for (let at = 0; at < bytes.length; at += pageSize) {
      if (!isZero(bytes.subarray(at, at + pageSize))) pages[(offset + at) / pageSize] = next++;
    }
  });
  return { pages, stored: (next - first) * pageSize };
}

function writeFile(content: Content, table: Uint32Array | undefined, write: (bytes: Uint8Array) => void): void {
  if (table === undefined) {
    eachChunk(content, (bytes) => write(padded(bytes)));
    return;
  }
  const words = Buffer.alloc(table.length * 4);
  for (const [index, page] of table.entries()) words.writeUInt32LE(page, index * 4);
  write(padded(words));
  eachChunk(content, (bytes, offset) => {
    // Pages that stay lie side by side in the image: a run of them is written at once.
    const stays = (at: number): boolean => table[(offset + at) / pageSize] !== 0;
    for (let at = 0; at < bytes.length; at += pageSize) {
      const start = at;
      while (at < bytes.length && stays(at)) at += pageSize;
      if (at > start) write(padded(bytes.subarray(start, at)));
    }
  });
}

const zeros = Buffer.alloc(pageSize);

function isZero(page: Uint8Array): boolean {
  return zeros.compare(page, 0, page.length, 0, page.length) === 0;
}

/** The bytes, with zeros up to the end of their last page. */
function padded(bytes: Uint8Array): Uint8Array {
  if (bytes.length % pageSize === 0) return bytes;
  const whole = new Uint8Array(roundUp(bytes.length));
  whole.set(bytes);
  return whole;
}

function writeRecords(bytes: Uint8Array, entries: readonly PlacedEntry[], strings: Uint8Array, size: number): void {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  let name = 0;
  for (const [index, entry] of entries.entries()) {
    const at = headerSize + index * recordSize;
    view.writeUInt32LE(name, at);
    view.writeUInt32LE(entry.mode, at + 4);
    view.writeUInt32LE(entry.parent, at + 8);
    view.writeUInt32LE(entry.sparse ? sparseFlag : 0, at + 12);
    view.writeBigUInt64LE(BigInt(entry.offset), at + 16);
    view.writeBigUInt64LE(BigInt(entry.size), at + 24);
    view.writeBigUInt64LE(BigInt(entry.stored), at + 32);
    name += Buffer.byteLength(entry.path) + 1;
  }
  const table = headerSize + entries.length * recordSize;
  view.set(strings, table);
  view.write(imageMagic, 0, "latin1");
  view.writeUInt32LE(imageVersion, 8);
  view.writeUInt32LE(entries.length, 12);
  view.writeBigUInt64LE(BigInt(size), 16);
  view.writeUInt32LE(strings.length, 24);
  view.writeUInt32LE(crc32(view.subarray(headerSize, table + strings.length)), 28);
}
