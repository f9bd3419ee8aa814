import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import type { JournalFile } from "@tesserae/device/journal-file";

const ownersOnly = 0o600;

/**
 * A journal in the file system. What was appended has been given to the kernel: it outlives this process, however that
 * ends, and not a loss of power; what replaces all before is on the disk.
 *
 * @param options.path of the file, which is made when it is not there; `PATH.new` stands beside it while it is written
 * anew. Empty: there is none
 * @throws Error of the system when the file cannot be opened; the calls throw those of reading and writing.
 */
export function createJournalFile({ path }: { readonly path: string }): JournalFile | undefined {
  return path === "" ? undefined : new KernelJournalFile(path);
}

class KernelJournalFile implements JournalFile {
  readonly #path: string;
  #file: number;

  constructor(path: string) {
    this.#path = path;
    this.#file = openSync(path, "a", ownersOnly);
  }

  read(): Uint8Array {
    return existsSync(this.#path) ? readFileSync(this.#path) : new Uint8Array(0);
  }

  append(bytes: Uint8Array): void {
    writeWhole(this.#file, bytes);
  }

  replace(bytes: Uint8Array): void {
    const fresh = openSync(`${this.#path}.new`, "w", ownersOnly);
    writeWhole(fresh, bytes);
    fsyncSync(fresh);
    renameSync(`${this.#path}.new`, this.#path);
    closeSync(this.#file);
    this.#file = fresh;
  }
}

function writeWhole(file: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at);
}
