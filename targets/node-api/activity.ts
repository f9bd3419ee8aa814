/** The longest delay of a timer of Node's, milliseconds. */
const longest = 2 ** 31 - 1;

/**
 * Keeps the event loop alive while sockets of ours are active, as libuv's own handles and requests would.
 *
 * One timer that never matters: referenced while there is a hold.
 */
export class Activity {
  #holds = 0;
  readonly #keeper: NodeJS.Timeout;
  readonly #onActive: ((active: boolean) => void) | undefined;

  /** @param onActive is told when the first hold is taken and when the last is released */
  constructor(onActive?: (active: boolean) => void) {
    this.#onActive = onActive;
    this.#keeper = setInterval(() => undefined, longest).unref();
  }

  get holds(): number {
    return this.#holds;
  }

  hold(): void {
    if (this.#holds++ > 0) return;
    this.#keeper.ref();
    this.#onActive?.(true);
  }

  release(): void {
    if (--this.#holds > 0) return;
    this.#keeper.unref();
    this.#onActive?.(false);
  }

  /** Holds nothing any more, and never will. */
  close(): void {
    clearInterval(this.#keeper);
  }
}
