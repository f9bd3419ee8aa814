/** Structured concurrency: tasks that live inside a scope and never outlive it. */

/** What the body of {@link runScope} starts its tasks with. */
export interface Scope {
  /** Aborted when a task fails, when {@link Scope.cancel} is called, and with the signal given to `runScope`. */
  readonly signal: AbortSignal;

  /**
   * Starts a task. A failure cancels the scope; the promise returned is for those who want the result, and may be
   * dropped.
   *
   * @returns what the task settles to. In a scope already cancelled the task does not start: rejects with the reason.
   * @throws TypeError (rejects) when the scope is over.
   */
  spawn<T>(task: (signal: AbortSignal) => Promise<T>): Promise<T>;

  /** Asks all tasks to end. That they end because of it is no failure of the scope. */
  cancel(): void;
}

/**
 * Runs `body` and every task it spawns, and settles when the last of them has.
 *
 * The first task to fail aborts the scope's signal, with its error as the reason. What fails afterwards because of
 * the abort (the reason itself, an `AbortError`, an error of kind `aborted`) adds nothing.
 *
 * @returns what `body` resolved to, when no task failed.
 * @throws the error of the task that failed, or an AggregateError when several did; the reason of `signal` when it
 * was aborted and a task ended for it.
 */
export async function runScope<T>(body: (scope: Scope) => Promise<T>, signal?: AbortSignal): Promise<T> {
  signal?.throwIfAborted();
  const scope = new RunningScope(signal);
  return scope.run(body);
}

class RunningScope implements Scope {
  readonly #controller = new AbortController();
  readonly #outer: AbortSignal | undefined;
  readonly #failures: unknown[] = [];
  readonly #tasks = new Set<Promise<unknown>>();
  /** Whether a task failed because of the abort. */
  #interrupted = false;
  #over = false;

  constructor(outer: AbortSignal | undefined) {
    this.#outer = outer;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  cancel(): void {
    this.#controller.abort();
  }

  spawn<T>(task: (signal: AbortSignal) => Promise<T>): Promise<T> {
    if (this.#over) return Promise.reject(new TypeError("the scope is over"));
    const running = this.signal.aborted ? Promise.reject(asError(this.signal.reason)) : start(task, this.signal);
    const tracked: Promise<unknown> = running.then(
      () => this.#tasks.delete(tracked),
      (error: unknown) => {
        this.#tasks.delete(tracked);
        this.#failed(error);
      },
    );
    this.#tasks.add(tracked);
    return running;
  }

  async run<T>(body: (scope: Scope) => Promise<T>): Promise<T> {
    const outer = this.#outer;
    const abort = (): void => this.#controller.abort(outer?.reason);
    outer?.addEventListener("abort", abort, { once: true });
    // The body is a task like the others, but for its value, and for a rejection of its own being everybody's.
    const result = await this.spawn(() => body(this)).then(
      (value) => ({ done: true, value }) as const,
      (error: unknown) => ({ done: false, error }) as const,
    );
    while (this.#tasks.size > 0) await Promise.all(this.#tasks);
    this.#over = true;
    outer?.removeEventListener("abort", abort);
    if (this.#failures.length > 1)
      throw new AggregateError(this.#failures, `${String(this.#failures.length)} tasks failed`);
    if (this.#failures.length === 1) throw asError(this.#failures[0]);
    if (outer?.aborted === true && this.#interrupted) throw asError(outer.reason);
    if (!result.done) throw asError(result.error);
    return result.value;
  }

  #failed(error: unknown): void {
    if (this.signal.aborted && isConsequence(error, this.signal.reason)) {
      this.#interrupted = true;
      return;
    }
    this.#failures.push(error);
    this.#controller.abort(error);
  }
}

async function start<T>(task: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> {
  return task(signal);
}

/** Whether a task rejected with `error` only because it was aborted for `reason`. */
function isConsequence(error: unknown, reason: unknown): boolean {
  if (error === reason) return true;
  if (!(error instanceof Error)) return false;
  return error.name === "AbortError" || error.cause === reason || ("kind" in error && error.kind === "aborted");
}

/** Whatever was thrown is passed on as it is. */
function asError(thrown: unknown): Error {
  // as: only thrown again, and anything can be thrown
  return thrown as Error;
}
