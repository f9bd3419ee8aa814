// Questions to another process and its answers, a line of JSON each: `{ id, … }` there, `{ id, answer | error }` back.
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

interface Waiting {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** The side that asks. `Catalogue` says which request has which answer. */
export class Requests<Catalogue extends Readonly<Record<string, readonly [question: object, answer: unknown]>>> {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, Waiting>();
  #last = 0;

  /** @param child its stdin and stdout are pipes */
  constructor(child: ChildProcess) {
    this.#child = child;
    if (child.stdout === null) throw new TypeError("the process has no pipe for its output");
    createInterface({ input: child.stdout }).on("line", (line) => this.#answered(line));
    void once(child, "exit").then(([status]) => {
      const error = new Error(`the process ended with status ${String(status)}`);
      for (const { reject } of this.#waiting.values()) reject(error);
      this.#waiting.clear();
    });
  }

  ask<Name extends keyof Catalogue & string>(name: Name, question: Catalogue[Name][0]): Promise<Catalogue[Name][1]> {
    const id = ++this.#last;
    // The other side is this program too, and answers as `Catalogue` says.
    const answer = new Promise<Catalogue[Name][1]>((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    this.#child.stdin?.write(`${JSON.stringify({ id, do: name, ...question })}\n`);
    return answer;
  }

  #answered(line: string): void {
    // as: written by `answerLine`
    const { id, answer, error } = JSON.parse(line) as { id: number; answer?: unknown; error?: string };
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) waiting?.resolve(answer);
    else waiting?.reject(new Error(error));
  }
}

/** The requests of a catalogue as they arrive, told apart by `do`. */
export type Asked<Catalogue extends Readonly<Record<string, readonly [question: object, answer: unknown]>>> = {
  readonly [Name in keyof Catalogue]: { readonly id: number; readonly do: Name } & Catalogue[Name][0];
}[keyof Catalogue];

export function parseRequest<Catalogue extends Readonly<Record<string, readonly [question: object, answer: unknown]>>>(
  line: string,
): Asked<Catalogue> {
  // as: written by `Requests`, which knows the same catalogue
  return JSON.parse(line) as Asked<Catalogue>;
}

export function answerLine(id: number, answer: unknown): string {
  return `${JSON.stringify({ id, answer: answer ?? null })}\n`;
}

export function errorLine(id: number, error: unknown): string {
  return `${JSON.stringify({ id, error: error instanceof Error ? `${error.name}: ${error.message}` : String(error) })}\n`;
}
