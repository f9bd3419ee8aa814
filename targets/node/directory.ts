import { createHash } from "node:crypto";
import { constants, type BigIntStats } from "node:fs";
import { open, opendir, realpath, stat, type FileHandle } from "node:fs/promises";
import { join, sep } from "node:path";
import { checkKey, KvError, type Kv, type KvEntry } from "@tesserae/device/kv";
import { codeOf } from "./flow-fault.ts";

/** Files up to this many bytes have a digest of their contents; longer ones, of what identifies the version. */
const hashedWhole = 256 * 1024;
/** Digests kept. */
const digestBound = 4096;
/** A file changed within this many milliseconds can change again without its time stamps telling. */
const racyAge = 100;
/** Keys that `list` gives at most. */
const listBound = 100_000;

/**
 * The files below a directory, read-only. A file's key is its path from the directory, with `/`.
 *
 * Symbolic links are followed where they stay inside the directory; what lies outside does not exist. `list` leaves
 * out links to directories. The digest of a file above 256 KiB covers its inode, size and time stamps instead of its
 * bytes.
 *
 * @throws KvError `io` (rejects) when `path` is not a directory that can be read.
 */
export async function createDirectory(options: { readonly path: string }): Promise<Kv> {
  try {
    const root = await realpath(options.path);
    if (!(await stat(root)).isDirectory()) throw new Error("not a directory");
    return new Directory(root);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new KvError("io", "", `directory "${options.path}": ${why}`, { cause });
  }
}

interface OpenFile {
  readonly handle: FileHandle;
  readonly info: BigIntStats;
}

class Directory implements Kv {
  readonly #root: string;
  readonly #digests = new Map<string, string>();
  #closed = false;

  constructor(root: string) {
    this.#root = root;
  }

  async stat(key: string): Promise<KvEntry | undefined> {
    return await this.#with(key, async ({ handle, info }) => ({
      size: Number(info.size),
      modified: Number(info.mtimeNs / 1_000_000n),
      digest: await this.#digest(handle, info),
    }));
  }

  async get(key: string, offset = 0, length?: number): Promise<Uint8Array | undefined> {
    checkCount("offset", offset);
    if (length !== undefined) checkCount("length", length);
    return await this.#with(key, async ({ handle, info }) => {
      const rest = Math.max(0, Number(info.size) - offset);
      return await readFully(handle, offset, Math.min(rest, length ?? rest));
    });
  }

  async list(prefix = ""): Promise<readonly string[]> {
    this.#checkOpen(prefix);
    const start = prefix.endsWith("/") ? prefix.slice(0, -1) : prefix;
    if (start !== "") checkedKey(start);
    const keys: string[] = [];
    await this.#walk(start, keys, prefix.endsWith("/"));
    // In byte order, which is not that of UTF-16.
    return keys
      .map((key) => [key, Buffer.from(key)] as const)
      .sort((one, other) => Buffer.compare(one[1], other[1]))
      .map(([key]) => key);
  }

  close(): Promise<void> {
    this.#closed = true;
    this.#digests.clear();
    return Promise.resolve();
  }

  async #walk(start: string, keys: string[], onlyBelow: boolean): Promise<void> {
    const pending = [start];
    if (start !== "" && !onlyBelow && (await this.#isFile(start))) {
      keys.push(start);
      return;
    }
    for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
      const inside = await this.#inside(join(this.#root, path));
      if (inside === undefined) continue;
      let entries;
      try {
        entries = await opendir(inside);
      } catch (error) {
        if (isAbsent(error)) continue;
        throw io(path, error);
      }
      for await (const entry of entries) {
        const key = path === "" ? entry.name : `${path}/${entry.name}`;
        // A name that is no UTF-8 comes with replacement characters, and cannot be asked for.
        if (checkKey(key) !== undefined || key.includes("\ufffd")) continue;
        if (entry.isDirectory()) pending.push(key);
        else if (entry.isFile() || (entry.isSymbolicLink() && (await this.#isFile(key)))) {
          if (keys.length === listBound) {
            throw new KvError("full", path, `"${this.#root}" holds more than ${String(listBound)} files`);
          }
          keys.push(key);
        }
      }
    }
  }

  async #isFile(key: string): Promise<boolean> {
    return (await this.#with(key, () => Promise.resolve(true))) ?? false;
  }

  /** Opens the file, calls `use` and closes it. `undefined` when the directory holds no such file. */
  async #with<T>(key: string, use: (file: OpenFile) => Promise<T>): Promise<T | undefined> {
    this.#checkOpen(key);
    checkedKey(key);
    // A backslash separates on Windows alone, and would leave the rules for keys there.
    if (sep !== "/" && key.includes(sep)) return undefined;
    const path = join(this.#root, key);
    let handle: FileHandle | undefined;
    try {
      // O_NONBLOCK: opening a FIFO that nobody writes to would block for ever.
      handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
      const info = await handle.stat({ bigint: true });
      if (!info.isFile()) return undefined;
      // Checked after opening, on the very inode that was opened: a link put in its place meanwhile changes nothing.
      const inside = await this.#inside(path);
      if (inside === undefined) return undefined;
      const there = await stat(inside, { bigint: true });
      if (there.ino !== info.ino || there.dev !== info.dev) return undefined;
      return await use({ handle, info });
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw io(key, error);
    } finally {
      await handle?.close();
    }
  }

  /** The path with every link resolved, or `undefined` when it is absent or outside. */
  async #inside(path: string): Promise<string | undefined> {
    try {
      const real = await realpath(path);
      const below = this.#root.endsWith(sep) ? this.#root : this.#root + sep;
      return real === this.#root || real.startsWith(below) ? real : undefined;
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw error;
    }
  }

  async #digest(handle: FileHandle, info: BigIntStats): Promise<string> {
    const version = `${info.dev}-${info.ino}-${info.size}-${info.mtimeNs}-${info.ctimeNs}`;
    if (info.size > hashedWhole) return hash(version);
    const known = this.#digests.get(version);
    if (known !== undefined) return known;
    const digest = hash(await readFully(handle, 0, Number(info.size)));
    const settled = Date.now() - Number(info.ctimeNs / 1_000_000n) > racyAge;
    if (settled) {
      if (this.#digests.size >= digestBound) this.#digests.clear();
      this.#digests.set(version, digest);
    }
    return digest;
  }

  #checkOpen(key: string): void {
    if (this.#closed) throw new KvError("closed", key, `"${this.#root}" is closed`);
  }
}

function hash(data: string | Uint8Array): string {
  return createHash("sha256").update(data).digest("base64url").slice(0, 22);
}

async function readFully(handle: FileHandle, offset: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await handle.read(bytes, filled, length - filled, offset + filled);
    // Shorter than a moment ago.
    if (bytesRead === 0) return bytes.slice(0, filled);
    filled += bytesRead;
  }
  return bytes;
}

function checkCount(name: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new RangeError(`${name} ${String(value)} is not an integer of 0 or more`);
  }
}

function checkedKey(key: string): void {
  const problem = checkKey(key);
  if (problem !== undefined) throw new KvError("bad-key", key, `key "${key.slice(0, 100)}" ${problem}`);
}

/** Whether an error means that there is no such file for us. */
function isAbsent(error: unknown): boolean {
  return ["ENOENT", "ENOTDIR", "ELOOP", "ENAMETOOLONG", "EISDIR", "ENXIO"].includes(codeOf(error));
}

function io(key: string, cause: unknown): unknown {
  if (cause instanceof KvError || cause instanceof RangeError) return cause;
  return new KvError("io", key, `"${key}": ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
}
