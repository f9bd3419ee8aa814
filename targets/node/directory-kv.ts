import { mkdir, open, rename, rm, rmdir, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { checkKey, type Kv, type KvEntry, KvError, type WritableKv } from "@tesserae/device/kv";
import { createMemoryKv } from "@tesserae/kv/memory";
import { createDirectory } from "./directory.ts";
import { codeOf } from "./flow-fault.ts";

/** Where an entry is written before it takes its place. No key leads there: each begins with another character. */
const workplace = "~new";
/** Puts every segment of a key behind a character: `+` for the last one, a file, `-` for the others, folders. */
const marks = { file: "+", folder: "-" } as const;
/** What a file's name may have, bytes, without the mark. */
const longestSegment = 254;

/**
 * A store in a folder, which is made when it is not there: it outlives the image, and a change that `set` has resolved
 * for outlives a loss of power. One process at a time may have it. The segments of a key have at most 254 bytes.
 *
 * @param options.path the folder; empty for a store in memory, which outlives nothing
 * @throws KvError `io` (rejects) when the folder cannot be made or read.
 */
export async function createDirectoryKv(options: { readonly path: string }): Promise<WritableKv> {
  const { path } = options;
  if (path === "") return createMemoryKv();
  try {
    // What was not finished is not there.
    await rm(join(path, workplace), { recursive: true, force: true });
    await mkdir(join(path, workplace), { recursive: true });
  } catch (error) {
    throw io("", error);
  }
  return new DirectoryKv(path, await createDirectory({ path }));
}

class DirectoryKv implements WritableKv {
  readonly #root: string;
  readonly #files: Kv;
  #writes = 0;
  #closed = false;

  constructor(root: string, files: Kv) {
    this.#root = root;
    this.#files = files;
  }

  async stat(key: string): Promise<KvEntry | undefined> {
    return this.#files.stat(this.#fileOf(key));
  }

  async get(key: string, offset?: number, length?: number): Promise<Uint8Array | undefined> {
    return this.#files.get(this.#fileOf(key), offset, length);
  }

  async list(prefix = ""): Promise<readonly string[]> {
    this.#checkOpen(prefix);
    const start = prefix.endsWith("/") ? prefix.slice(0, -1) : prefix;
    if (start === "") return (await this.#files.list()).filter(isEntry).map(keyOf).sort(byBytes);
    // The entry itself, and those below it.
    const file = this.#fileOf(start);
    const own = prefix === start && (await this.#files.stat(file)) !== undefined ? [file] : [];
    return [...own, ...(await this.#files.list(`${folderOf(start)}/`))].map(keyOf).sort(byBytes);
  }

  async set(key: string, bytes: Uint8Array): Promise<void> {
    const path = join(this.#root, this.#fileOf(key));
    const fresh = join(this.#root, workplace, String(this.#writes++));
    try {
      const handle = await open(fresh, "w");
      try {
        await handle.writeFile(bytes);
        await handle.sync();
      } finally {
        await handle.close();
      }
      // The folder goes when what else was in it is deleted meanwhile.
      for (let left = 3; ; left--) {
        await mkdir(dirname(path), { recursive: true });
        try {
          await rename(fresh, path);
          break;
        } catch (error) {
          if (codeOf(error) !== "ENOENT" || left === 0) throw error;
        }
      }
      await syncFolder(dirname(path));
    } catch (error) {
      await rm(fresh, { force: true });
      throw io(key, error);
    }
  }

  async delete(key: string): Promise<boolean> {
    const path = join(this.#root, this.#fileOf(key));
    try {
      await unlink(path);
    } catch (error) {
      if (["ENOENT", "ENOTDIR"].includes(codeOf(error))) return false;
      throw io(key, error);
    }
    await this.#removeEmpty(dirname(path));
    return true;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#files.close();
  }

  async #removeEmpty(folder: string): Promise<void> {
    for (let at = folder; at.length > this.#root.length; at = dirname(at)) {
      try {
        await rmdir(at);
      } catch {
        // Something else is in it.
        return;
      }
    }
  }

  #fileOf(key: string): string {
    this.#checkOpen(key);
    const problem =
      checkKey(key) ??
      (key.split("/").some((segment) => Buffer.byteLength(segment) > longestSegment)
        ? `has a segment longer than ${String(longestSegment)} bytes`
        : undefined);
    if (problem !== undefined) throw new KvError("bad-key", key, `key "${key.slice(0, 100)}" ${problem}`);
    const slash = key.lastIndexOf("/");
    const file = `${marks.file}${key.slice(slash + 1)}`;
    return slash < 0 ? file : `${folderOf(key.slice(0, slash))}/${file}`;
  }

  #checkOpen(key: string): void {
    if (this.#closed) throw new KvError("closed", key, `"${this.#root}" is closed`);
  }
}

function folderOf(key: string): string {
  return key
    .split("/")
    .map((segment) => `${marks.folder}${segment}`)
    .join("/");
}

function isEntry(path: string): boolean {
  return !path.startsWith(workplace) && path.split("/").at(-1)?.startsWith(marks.file) === true;
}

function keyOf(path: string): string {
  return path
    .split("/")
    .map((segment) => segment.slice(1))
    .join("/");
}

function byBytes(one: string, other: string): number {
  return Buffer.compare(Buffer.from(one), Buffer.from(other));
}

async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function io(key: string, cause: unknown): unknown {
  if (cause instanceof KvError) return cause;
  return new KvError("io", key, `"${key}": ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
}
