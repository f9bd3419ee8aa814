import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { ownCode } from "./check-memory.ts";
import { ts } from "./compiler.ts";
import type { Project } from "./project.ts";
import { constantCandidates, type Candidate } from "./top-level-constants.ts";

interface Remembered {
  /** The hash of the bundle, of what is known of it, and of the code that found it out. */
  readonly seal: string;
  readonly candidates: readonly Candidate[];
}

/**
 * As `constantCandidates`. Reading a whole bundle costs most of a second, so what it found last for a target is kept in
 * `.tesserae/constants`, for a build of the same bundle.
 */
export function rememberedCandidates(project: Project, target: string, code: string): readonly Candidate[] {
  const file = path.join(project.folder, ".tesserae", "constants", `${target}.json`);
  const seal = (candidates: readonly Candidate[]): string =>
    createHash("sha256")
      .update(JSON.stringify([ownCode(), ts.version, candidates]))
      .update(code)
      .digest("hex");
  try {
    // as: this function wrote it; what else there may be throws or has another seal
    const remembered = JSON.parse(readFileSync(file, "utf8")) as Remembered;
    if (remembered.seal === seal(remembered.candidates)) return remembered.candidates;
  } catch {
    // None, or one that cannot be read.
  }
  const candidates = constantCandidates(code);
  const temporary = `${file}.${String(process.pid)}.tmp`;
  try {
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(temporary, JSON.stringify({ seal: seal(candidates), candidates } satisfies Remembered));
    renameSync(temporary, file);
  } catch {
    // It is found out again. That the folder cannot be written to, the build says.
    rmSync(temporary, { force: true });
  }
  return candidates;
}
