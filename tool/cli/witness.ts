import { createHash } from "node:crypto";
import type { ModuleResolutionHost } from "typescript";
import { ts } from "./compiler.ts";

/** What the compiler asks of the file system to find and read what it checks. */
export type Sight = Pick<
  Required<ModuleResolutionHost>,
  "fileExists" | "readFile" | "directoryExists" | "getDirectories" | "realpath"
>;

/** Every answer that was given, by question and path. What was read is there as its hash. */
export type Testimony = Readonly<Record<keyof Sight, Readonly<Record<string, unknown>>>>;

const disk: Sight = {
  fileExists: (name) => ts.sys.fileExists(name),
  readFile: (name) => ts.sys.readFile(name),
  directoryExists: (name) => ts.sys.directoryExists(name),
  getDirectories: (name) => ts.sys.getDirectories(name),
  realpath: (name) => ts.sys.realpath?.(name) ?? name,
};

/**
 * Answers the compiler's questions from the disk, and remembers the answers. As long as all of them would be the same
 * again, so is what the compiler finds: also files that do not exist count, as they might come to shadow others.
 */
export class Witness implements Sight {
  readonly #seen: Record<keyof Sight, Record<string, unknown>> = {
    fileExists: {},
    readFile: {},
    directoryExists: {},
    getDirectories: {},
    realpath: {},
  };
  #steady = true;

  /** All answers; `undefined` when something changed while it was looked at. */
  get testimony(): Testimony | undefined {
    return this.#steady ? this.#seen : undefined;
  }

  fileExists(name: string): boolean {
    const answer = disk.fileExists(name);
    this.#note("fileExists", name, answer);
    return answer;
  }

  readFile(name: string): string | undefined {
    const answer = disk.readFile(name);
    this.#note("readFile", name, digest(answer));
    return answer;
  }

  directoryExists(name: string): boolean {
    const answer = disk.directoryExists(name);
    this.#note("directoryExists", name, answer);
    return answer;
  }

  getDirectories(name: string): string[] {
    const answer = disk.getDirectories(name);
    this.#note("getDirectories", name, answer);
    return answer;
  }

  realpath(name: string): string {
    const answer = disk.realpath(name);
    this.#note("realpath", name, answer);
    return answer;
  }

  #note(question: keyof Sight, name: string, answer: unknown): void {
    const answers = this.#seen[question];
    if (name in answers && !same(answers[name], answer)) this.#steady = false;
    answers[name] = answer;
  }
}

/** Whether the disk would give all these answers again. */
export function stillHolds(testimony: Testimony): boolean {
  const asked: Readonly<Record<keyof Sight, (name: string) => unknown>> = {
    ...disk,
    readFile: (name) => digest(disk.readFile(name)),
  };
  // as: the keys of an object literal of this type
  for (const question of Object.keys(asked) as (keyof Sight)[]) {
    for (const [name, answer] of Object.entries(testimony[question])) {
      if (!same(asked[question](name), answer)) return false;
    }
  }
  return true;
}

function same(one: unknown, other: unknown): boolean {
  return one === other || JSON.stringify(one) === JSON.stringify(other);
}

function digest(text: string | undefined): string | null {
  return text === undefined ? null : createHash("sha256").update(text).digest("base64");
}
