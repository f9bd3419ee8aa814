import type { Timers } from "@tesserae/device/clock";

/** What {@link withTimeout} rejects with, and the reason of the signal it aborts. */
export class TimeoutError extends Error {
  override readonly name = "TimeoutError";
  /** The time allowed, in milliseconds. */
  readonly ms: number;

  constructor(ms: number) {
    super(`not done within ${String(ms)} ms`);
    this.ms = ms;
  }
}

/**
 * Resolves after `ms` milliseconds, never early.
 *
 * @param ms 0 or more; `Infinity` waits for the signal alone
 * @throws RangeError (rejects) when `ms` is negative or NaN; the signal's reason when it is aborted, and at once when
 * it was aborted before.
 */
export function sleep(timers: Timers, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    checkDuration(ms);
    signal?.throwIfAborted();
    const abort = (): void => {
      timer.cancel();
      reject(reasonOf(signal));
    };
    const timer = timers.timer(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    });
    signal?.addEventListener("abort", abort, { once: true });
    timer.set(timers.now() + ms);
  });
}

/**
 * Runs `task` with a signal that is aborted after `ms` milliseconds, or when `signal` is.
 *
 * Settles as `task` does, or rejects at the moment of the abort: a task that goes on regardless is no longer heard.
 *
 * @param ms 0 or more; `Infinity` never times out
 * @throws TimeoutError (rejects) after `ms`; RangeError when `ms` is negative or NaN; the signal's reason.
 */
export function withTimeout<T>(
  timers: Timers,
  ms: number,
  task: (signal: AbortSignal) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  return new Promise((resolve, reject) => {
    checkDuration(ms);
    signal?.throwIfAborted();
    const controller = new AbortController();
    const finish = (): void => {
      timer.cancel();
      signal?.removeEventListener("abort", abort);
    };
    const stop = (reason: Error): void => {
      finish();
      // First, so that the task's own rejection, which the abort brings about, comes second.
      reject(reason);
      controller.abort(reason);
    };
    const abort = (): void => stop(reasonOf(signal));
    const timer = timers.timer(() => stop(new TimeoutError(ms)));
    signal?.addEventListener("abort", abort, { once: true });
    timer.set(timers.now() + ms);
    let result: Promise<T>;
    try {
      result = task(controller.signal);
    } catch (error) {
      finish();
      throw error;
    }
    result.then(
      (value) => {
        finish();
        resolve(value);
      },
      (error: unknown) => {
        finish();
        reject(asError(error));
      },
    );
  });
}

function checkDuration(ms: number): void {
  if (!(ms >= 0)) throw new RangeError(`ms ${String(ms)} is not 0 or more`);
}

function reasonOf(signal: AbortSignal | undefined): Error {
  return asError(signal?.reason);
}

/** Whatever was thrown is passed on as it is: that it is an Error is the usual case, and not ours to enforce. */
function asError(thrown: unknown): Error {
  // as: only passed to reject, which takes anything
  return thrown as Error;
}
