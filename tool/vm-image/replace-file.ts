import { randomBytes } from "node:crypto";
import { closeSync, mkdirSync, openSync, renameSync, rmSync, writeFileSync, writeSync } from "node:fs";
import path from "node:path";

/** Writes all the bytes, behind what was written before or at a position of the file. */
export type Put = (bytes: Uint8Array, at?: number) => void;

/**
 * Writes a file in one step: whoever reads it meanwhile has the old one or the new one. Folders are made.
 *
 * @param content what it holds, or parts that it holds one after the other
 */
export function replaceFile(file: string, content: Uint8Array | string | readonly Uint8Array[]): void {
  const parts = typeof content === "string" || content instanceof Uint8Array ? [content] : content;
  replaceFileBy(file, (_put, fd) => {
    for (const part of parts) writeFileSync(fd, part);
  });
}

/** As {@link replaceFile}, with what `write` puts into it, which need never be in memory at once. */
export function replaceFileBy(file: string, write: (put: Put, fd: number) => void): void {
  mkdirSync(path.dirname(file), { recursive: true });
  const beside = `${file}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    const fd = openSync(beside, "wx");
    try {
      write((bytes, at) => {
        for (let done = 0; done < bytes.length;) {
          done += writeSync(fd, bytes, done, bytes.length - done, at === undefined ? null : at + done);
        }
      }, fd);
    } finally {
      closeSync(fd);
    }
    renameSync(beside, file);
  } catch (error) {
    rmSync(beside, { force: true });
    throw error;
  }
}
