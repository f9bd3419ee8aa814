import { createHash } from "node:crypto";
import { readdirSync, readFileSync, rmSync, statSync, utimesSync } from "node:fs";
import path from "node:path";
import { replaceFile } from "./replace-file.ts";

const hashSize = 32;
/** What was being written when its process was killed is removed after this, in milliseconds. */
const abandoned = 3_600_000;

/**
 * A folder of things that can be made again, named by the hash of what they were made from. Each begins with the
 * SHA-256 of its content, and is as if it were not there when that is wrong. At most `most` stay: those used last.
 *
 * A folder that cannot be written keeps nothing; several processes may use one.
 */
export class KeptFiles {
  readonly #folder: string;
  readonly #most: number;

  /** @param folder is made when something is kept */
  constructor(folder: string, most: number) {
    this.#folder = folder;
    this.#most = most;
  }

  /** What was kept under the name; `undefined` when there is nothing, or it is damaged. */
  get(name: string): Buffer | undefined {
    const file = path.join(this.#folder, name);
    let bytes: Buffer;
    try {
      bytes = readFileSync(file);
    } catch {
      return undefined;
    }
    const content = bytes.subarray(hashSize);
    if (bytes.length < hashSize || !digest([content]).equals(bytes.subarray(0, hashSize))) return undefined;
    try {
      const now = new Date();
      utimesSync(file, now, now);
    } catch {
      // It looks older than it is, and goes earlier.
    }
    return content;
  }

  /** Keeps what the parts are together, in one step, and removes what has not been used for longest. */
  put(name: string, parts: readonly Uint8Array[]): void {
    try {
      replaceFile(path.join(this.#folder, name), [digest(parts), ...parts]);
      this.#removeOld(name);
    } catch {
      // It is made again next time.
    }
  }

  #removeOld(kept: string): void {
    const files: { readonly file: string; readonly used: number }[] = [];
    for (const name of readdirSync(this.#folder)) {
      if (name === kept) continue;
      const file = path.join(this.#folder, name);
      // Another process may have removed it.
      const found = statSync(file, { throwIfNoEntry: false });
      if (found?.isFile() !== true) continue;
      if (!name.endsWith(".tmp")) files.push({ file, used: found.mtimeMs });
      else if (Date.now() - found.mtimeMs > abandoned) rmSync(file, { force: true });
    }
    files.sort((a, b) => b.used - a.used);
    for (const { file } of files.slice(this.#most - 1)) rmSync(file, { force: true });
  }
}

function digest(parts: readonly Uint8Array[]): Buffer {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest();
}
