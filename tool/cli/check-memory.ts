import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { ts } from "./compiler.ts";
import type { CheckRequest } from "./check-types.ts";
import { toolModules } from "./package-tree.ts";
import { toolVersion } from "./tool-version.ts";
import { stillHolds, type Testimony, type Witness } from "./witness.ts";

interface Remembered {
  /** The hash of what was asked and of what was seen: a file that was damaged is none. */
  readonly seal: string;
  readonly testimony: Testimony;
}

/**
 * The last check of an application for a target that found nothing wrong, in `.tesserae/checked`. A check costs
 * seconds; to see that nothing has changed since costs a fraction of one.
 */
export class CheckMemory {
  readonly #file: string;
  readonly #asked: string;

  constructor(request: CheckRequest) {
    const { project, packages, main, scenario, target } = request;
    this.#file = path.join(project.folder, ".tesserae", "checked", `${target.name}.json`);
    // What the compiler is told without a look at the disk; and who tells it.
    const asked = {
      folder: project.folder,
      main,
      scenario,
      target: target.name,
      packages: ["@tesserae/config", "@types/node"].map((name) => packages.find(name, project.folder)?.folder),
      modules: toolModules(),
      tool: [toolVersion(), ownCode()],
      compiler: ts.version,
    };
    this.#asked = hash(JSON.stringify(asked));
  }

  /** Whether all is as it was then. */
  holds(): boolean {
    try {
      // as: this class wrote it; what else there may be makes no sense, and throws or differs
      const { seal, testimony } = JSON.parse(readFileSync(this.#file, "utf8")) as Remembered;
      return seal === this.#seal(testimony) && stillHolds(testimony);
    } catch {
      // None, or one that cannot be read: the compiler is asked.
      return false;
    }
  }

  /** Remembers a check that found nothing wrong. */
  remember(witness: Witness): void {
    const { testimony } = witness;
    if (testimony === undefined) return;
    const remembered: Remembered = { seal: this.#seal(testimony), testimony };
    const temporary = `${this.#file}.${String(process.pid)}.tmp`;
    try {
      mkdirSync(path.dirname(this.#file), { recursive: true });
      writeFileSync(temporary, JSON.stringify(remembered));
      renameSync(temporary, this.#file);
    } catch {
      // What cannot be kept is asked again. That the folder cannot be written to, the build says.
      rmSync(temporary, { force: true });
    }
  }

  #seal(testimony: Testimony): string {
    return hash(this.#asked + JSON.stringify(testimony));
  }
}

let ownHash: string | undefined;

/** The hash of this package's files: its version says nothing about them where it is developed. */
export function ownCode(): string {
  return (ownHash ??= hashOwnCode());
}

function hashOwnCode(): string {
  const folder = path.dirname(fileURLToPath(import.meta.url));
  const files = readdirSync(folder).filter((name) => /\.m?[jt]s$/.test(name));
  return hash(files.map((name) => `${name} ${hash(readFileSync(path.join(folder, name)))}`).join("\n"));
}

function hash(content: Uint8Array | string): string {
  return createHash("sha256").update(content).digest("hex");
}
