import { randomBytes } from "node:crypto";
import { closeSync, mkdirSync, openSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";

/**
 * Writes a file in one step: whoever reads it meanwhile has the old one or the new one. Folders are made.
 *
 * @param content what it holds, or parts that it holds one after the other
 */
export function replaceFile(file: string, content: Uint8Array | string | readonly Uint8Array[]): void {
  const parts = typeof content === "string" || content instanceof Uint8Array ? [content] : content;
  mkdirSync(path.dirname(file), { recursive: true });
  const beside = `${file}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    const fd = openSync(beside, "wx");
    try {
      for (const part of parts) writeFileSync(fd, part);
    } finally {
      closeSync(fd);
    }
    renameSync(beside, file);
  } catch (error) {
    rmSync(beside, { force: true });
    throw error;
  }
}
