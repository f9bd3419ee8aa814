/**
 * Work done outside the simulation: digests in Node's thread pool, the bytes of a Blob.
 *
 * How long it takes in real time must not show. So virtual time waits while any is under way, and only when all of it
 * is done are the results handed over, in the order in which the work was started.
 */
export class ExternalWork {
  readonly #done: (() => void)[] = [];
  #started = 0;
  #finished = 0;
  /** Results by the order of their start, those from `#next` on. */
  readonly #waiting = new Map<number, () => void>();
  #next = 0;

  /** Whether some of it is not finished yet. */
  get underWay(): boolean {
    return this.#finished < this.#started;
  }

  /** What `work` settles to, at a moment that depends on the order of the calls only. */
  track<T>(work: PromiseLike<T>): Promise<T> {
    const order = this.#started++;
    return new Promise<T>((resolve) => {
      const finish = (): void => {
        this.#finished++;
        // Handing over a settled promise hands over a rejection as well.
        this.#waiting.set(order, () => resolve(work));
        if (this.underWay) return;
        for (; this.#next < this.#started; this.#next++) {
          const next = this.#waiting.get(this.#next);
          this.#waiting.delete(this.#next);
          if (next !== undefined) this.#done.push(next);
        }
      };
      work.then(finish, finish);
    });
  }

  /** Hands over the oldest result. @returns false when there was none. */
  handOver(): boolean {
    const next = this.#done.shift();
    next?.();
    return next !== undefined;
  }
}
