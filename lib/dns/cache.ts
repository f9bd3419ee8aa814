import type { Clock } from "@tesserae/device/clock";
import type { Answer } from "./answer.ts";

interface Entry {
  readonly answer: Answer;
  /** Milliseconds. */
  readonly from: number;
  readonly until: number;
}

/** Answers by question, each for its time to live; beyond its size the least recently used one goes. */
export class AnswerCache {
  readonly #clock: Clock;
  readonly #capacity: number;
  /** In order of use. */
  readonly #entries = new Map<string, Entry>();

  constructor(clock: Clock, capacity: number) {
    this.#clock = clock;
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** @returns the answer with the time that it has left, or `undefined`. */
  get(key: string): Answer | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    const now = this.#clock.now();
    if (now >= entry.until) return undefined;
    this.#entries.set(key, entry);
    return aged(entry.answer, Math.floor((now - entry.from) / 1000));
  }

  /** Keeps an answer, unless it fails or does not last. */
  set(key: string, answer: Answer): void {
    if (answer.kind === "failed" || answer.ttl <= 0 || this.#capacity < 1) return;
    this.#entries.delete(key);
    if (this.#entries.size >= this.#capacity) {
      for (const oldest of this.#entries.keys()) {
        this.#entries.delete(oldest);
        break;
      }
    }
    const from = this.#clock.now();
    this.#entries.set(key, { answer, from, until: from + answer.ttl * 1000 });
  }

  clear(): void {
    this.#entries.clear();
  }
}

function aged(answer: Answer, seconds: number): Answer {
  if (seconds === 0 || answer.kind === "failed") return answer;
  const ttl = Math.max(0, answer.ttl - seconds);
  if (answer.kind !== "answer") return { ...answer, ttl };
  const age = <T extends { readonly ttl: number }>(record: T): T => ({
    ...record,
    ttl: Math.max(0, record.ttl - seconds),
  });
  return { ...answer, ttl, records: answer.records.map(age), chain: answer.chain.map(age) };
}
