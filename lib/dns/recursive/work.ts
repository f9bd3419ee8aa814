import type { RecursiveLimits } from "./limits.ts";

/** What a question of a client may still cost; everything done for it draws on the same. */
export class Work {
  /** Milliseconds on the `now()` axis. */
  readonly deadline: number;
  queries: number;
  serverNames: number;
  verifications: number;
  hashes: number;

  constructor(limits: RecursiveLimits, now: number) {
    this.deadline = now + limits.time;
    this.queries = limits.queries;
    this.serverNames = limits.serverNames;
    this.verifications = limits.verifications;
    this.hashes = limits.hashes;
  }
}

/** One name and type being looked up, and what it waits for: whoever else wants the same waits too. */
export class Task<Result> {
  readonly name: string;
  readonly type: number;
  readonly work: Work;
  readonly depth: number;
  readonly waitsFor = new Set<Task<Result>>();
  result: Promise<Result> | undefined;

  constructor(name: string, type: number, work: Work, depth: number) {
    this.name = name;
    this.type = type;
    this.work = work;
    this.depth = depth;
  }

  /** Whether this waits for `other`, directly or not: then `other` must not wait for this. */
  reaches(other: Task<Result>, seen: Set<Task<Result>> = new Set()): boolean {
    if (this === other) return true;
    if (seen.has(this)) return false;
    seen.add(this);
    for (const next of this.waitsFor) if (next.reaches(other, seen)) return true;
    return false;
  }

  /** Waits for `other` as a part of this. */
  async waitFor(other: Task<Result>, result: Promise<Result>): Promise<Result> {
    this.waitsFor.add(other);
    try {
      return await result;
    } finally {
      this.waitsFor.delete(other);
    }
  }
}
