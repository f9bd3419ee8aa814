import { statSync } from "node:fs";
import type { Graph } from "@tesserae/config/graph";
import type { DiskFile } from "@tesserae/qemu/arguments";
import { failure } from "./failure.ts";

/** The files given, checked. @throws Failure naming the device without one. */
export function diskFiles(graph: Graph, files: readonly string[]): readonly DiskFile[] {
  const wanted = graph.devices.filter((each) => each.kind === "block" && each.implementation.module === undefined);
  const missing = wanted[files.length];
  if (missing !== undefined) {
    throw failure(
      `device "${missing.id}" needs a disk`,
      "give it a file: --block FILE (truncate -s 64M FILE makes one)",
    );
  }
  return files.map((file) => {
    const found = statSync(file, { throwIfNoEntry: false });
    if (found === undefined) {
      throw failure(`--block: there is no file "${file}"`, `make one: truncate -s 64M ${file}`);
    }
    if (found.isDirectory()) throw failure(`--block: "${file}" is a folder`, "give a file, or a disk");
    if (found.isFile() && (found.size === 0 || found.size % 512 !== 0)) {
      throw failure(`--block: "${file}" has ${String(found.size)} bytes`, "a disk has a multiple of 512");
    }
    return { file, readOnly: found.isFile() && (found.mode & 0o222) === 0 };
  });
}
