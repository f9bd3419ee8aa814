import process from "node:process";
import { encodeStrings, messageType, textOf } from "@tesserae/xenstore/wire";
import type { Answer } from "./raw-client.ts";
import { payloadOf, shared, type Step } from "./sequence.ts";
import type { RunningServer } from "./servers.ts";
import type { Connected } from "./socket-client.ts";

/** What it took to let all guests live. */
export interface Outcome {
  readonly milliseconds: number;
  /** Guests that lived to their end: all, unless the time was over. */
  readonly lived: number;
  /** Of this process's processor time: the clients', and the server's where it is here. */
  readonly ownMilliseconds: number;
  /** Of the server's processor time; undefined: it was this process. */
  readonly serverMilliseconds: number | undefined;
  /** Requests that were answered. */
  readonly requests: number;
  readonly transactions: number;
  /** Transactions that had to be begun anew. */
  readonly retries: number;
  /** The most tries of one transaction. */
  readonly mostTries: number;
  readonly events: number;
}

interface Counters {
  requests: number;
  transactions: number;
  retries: number;
  mostTries: number;
  events: number;
}

/** One guest, from `xl create` to the end of `xl destroy`. */
class Life {
  readonly #server: RunningServer;
  readonly #domain: number;
  readonly #steps: readonly Step[];
  readonly #clients: Map<string, Connected>;
  readonly #counters: Counters;
  /** By program and number in the recording: the server's number, and what was asked in it so far. */
  readonly #open = new Map<string, { id: number; tries: number; asked: Step[]; isCleaning: boolean }>();

  constructor(
    server: RunningServer,
    domain: number,
    steps: readonly Step[],
    everybody: ReadonlyMap<string, Connected>,
    counters: Counters,
  ) {
    this.#server = server;
    this.#domain = domain;
    this.#steps = steps;
    this.#clients = new Map(everybody);
    this.#counters = counters;
  }

  /** @returns false when it was given up before its end */
  async live(isOver: () => boolean): Promise<boolean> {
    for (const step of this.#steps) {
      if (isOver()) return false;
      const { who, kind } = step;
      if (kind === "connect") this.#clients.set(who, await this.#server.connect());
      else if (kind === "leave") this.#leave(who);
      else if (kind === "start") await this.#start(step, 1);
      else if (kind === "end") await this.#end(step);
      else await this.#step(step);
    }
    for (const who of [...this.#clients.keys()]) if (!shared.includes(who)) this.#leave(who);
    return true;
  }

  #leave(who: string): void {
    const connected = this.#clients.get(who);
    this.#clients.delete(who);
    if (connected === undefined) return;
    this.#counters.events += connected.client.events;
    connected.close();
  }

  #ask(who: string, type: number, transaction: number, payload: Uint8Array): Promise<Answer> {
    const connected = this.#clients.get(who);
    if (connected === undefined) throw new Error(`${who} is not connected`);
    this.#counters.requests++;
    return connected.client.ask(type, transaction, payload);
  }

  async #start({ who, transaction }: Step, tries: number): Promise<void> {
    const answer = await this.#ask(who, messageType.transactionStart, 0, encodeStrings(""));
    if (typeof answer === "string") throw new Error(`a transaction is refused: ${answer}`);
    const id = Number(textOf(answer, 0, answer.length - 1));
    const key = `${who}.${transaction}`;
    const before = this.#open.get(key);
    if (before === undefined) this.#open.set(key, { id, tries, asked: [], isCleaning: true });
    else {
      before.id = id;
      before.tries = tries;
      before.isCleaning = true;
    }
  }

  async #step(step: Step): Promise<void> {
    const open = step.transaction === 0 ? undefined : this.#open.get(`${step.who}.${step.transaction}`);
    open?.asked.push(step);
    await this.#do(step, open);
  }

  async #do(step: Step, open: { id: number; isCleaning: boolean } | undefined): Promise<void> {
    const payload = payloadOf(step, this.#domain);
    // What libxl would not do, as the directory above had others' children, is left out with all above it.
    if (step.kind === "remove-if-empty" && open?.isCleaning === false) return;
    const answer = await this.#ask(step.who, step.type, open?.id ?? 0, payload);
    if (answer === "ECONNRESET") throw new Error(`the server left ${step.who}`);
    const isCleanup = open !== undefined && step.type === messageType.directory;
    if (isCleanup && typeof answer !== "string") open.isCleaning = answer.length === 0;
    if (typeof answer === "string" && (step.type === messageType.introduce || step.type === messageType.write))
      throw new Error(
        `${this.#server.name}: ${step.who}: ${step.words.join(" ")} of domain ${this.#domain}: ${answer}`,
      );
  }

  async #end(step: Step): Promise<void> {
    const key = `${step.who}.${step.transaction}`;
    const open = this.#open.get(key);
    if (open === undefined) throw new Error(`no transaction ${key}`);
    for (;;) {
      const answer = await this.#ask(step.who, messageType.transactionEnd, open.id, encodeStrings("T"));
      if (typeof answer !== "string") break;
      if (answer !== "EAGAIN") throw new Error(`transaction ${key} of domain ${this.#domain}: ${answer}`);
      this.#counters.retries++;
      await this.#start(step, open.tries + 1);
      for (const each of open.asked) await this.#do(each, open);
    }
    this.#counters.transactions++;
    this.#counters.mostTries = Math.max(this.#counters.mostTries, open.tries);
    this.#open.delete(key);
  }
}

/**
 * Lets guests live at once, each its recorded life.
 *
 * @param first number of the first domain
 * @param most milliseconds, after which those that are not done are given up: the server is of no use then
 */
export async function replay(
  server: RunningServer,
  steps: readonly Step[],
  first: number,
  count: number,
  most = Number.POSITIVE_INFINITY,
): Promise<Outcome> {
  const everybody = new Map<string, Connected>();
  for (const who of shared) everybody.set(who, await server.connect());
  const watching = everybody.get("xenconsoled")?.client;
  await watching?.ask(messageType.watch, 0, encodeStrings("@introduceDomain", "domlist"));
  await watching?.ask(messageType.watch, 0, encodeStrings("@releaseDomain", "domlist"));
  const kernel = everybody.get("dom0")?.client;
  await kernel?.ask(messageType.watch, 0, encodeStrings("backend", "backend"));
  const counters: Counters = { requests: 0, transactions: 0, retries: 0, mostTries: 0, events: 0 };
  const before = server.processorTime();
  const own = process.cpuUsage();
  const start = performance.now();
  let isOver = false;
  let lived = 0;
  const lives = Array.from({ length: count }, async (_, index) => {
    const life = new Life(server, first + index, steps, everybody, counters);
    try {
      if (await life.live(() => isOver)) lived++;
    } catch (error) {
      // Whoever waited when the time was over is told that the server left.
      if (!isOver) throw error;
    }
  });
  let timer: NodeJS.Timeout | undefined;
  const end = new Promise<void>((resolve) => {
    if (Number.isFinite(most)) timer = setTimeout(resolve, most);
  });
  await Promise.race([Promise.all(lives), end]);
  clearTimeout(timer);
  isOver = true;
  const milliseconds = performance.now() - start;
  const { user, system } = process.cpuUsage(own);
  const after = server.processorTime();
  const counted = { ...counters };
  for (const { client, close } of everybody.values()) {
    counted.events += client.events;
    close();
  }
  const serverMilliseconds = before === undefined || after === undefined ? undefined : after - before;
  return { milliseconds, lived, ownMilliseconds: (user + system) / 1000, serverMilliseconds, ...counted };
}
