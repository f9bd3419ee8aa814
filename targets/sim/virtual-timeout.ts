import type { Timer, Timers } from "@tesserae/device/clock";

/** What the virtual forms of Node's timer functions need. */
export interface TimeoutSource {
  readonly timers: Timers;
  report(error: unknown): void;
  background(change: 1 | -1): void;
}

/** The longest delay of `setTimeout`; a longer one counts as 1 ms (the HTML standard's and Node's rule). */
const longestDelay = 2 ** 31 - 1;

const promisifyCustom = Symbol.for("nodejs.util.promisify.custom");

type Callback = (...args: unknown[]) => void;

/** What the virtual `setTimeout` and its kin return: as Node's `Timeout` and `Immediate`. */
export class VirtualTimeout {
  readonly #owner: VirtualTimers;
  readonly #timer: Timer;
  readonly #callback: Callback;
  readonly #args: readonly unknown[];
  readonly #delay: number;
  readonly #repeat: boolean;
  #referenced = true;
  #id = 0;

  constructor(owner: VirtualTimers, callback: Callback, delay: number, args: readonly unknown[], repeat: boolean) {
    this.#owner = owner;
    this.#callback = callback;
    this.#delay = delay;
    this.#args = args;
    this.#repeat = repeat;
    this.#timer = owner.source.timers.timer(() => this.#fire());
    this.#timer.set(owner.source.timers.now() + delay);
  }

  ref(): this {
    if (!this.#referenced && this.#timer.armed) this.#owner.source.background(-1);
    this.#referenced = true;
    return this;
  }

  unref(): this {
    if (this.#referenced && this.#timer.armed) this.#owner.source.background(1);
    this.#referenced = false;
    return this;
  }

  hasRef(): boolean {
    return this.#referenced;
  }

  refresh(): this {
    this.#arm();
    return this;
  }

  close(): this {
    if (this.#timer.armed) {
      this.#timer.cancel();
      this.#disarmed();
    }
    return this;
  }

  [Symbol.toPrimitive](): number {
    if (this.#id === 0) this.#id = this.#owner.remember(this);
    return this.#id;
  }

  #arm(): void {
    if (!this.#timer.armed && !this.#referenced) this.#owner.source.background(1);
    this.#timer.set(this.#owner.source.timers.now() + this.#delay);
  }

  #disarmed(): void {
    if (!this.#referenced) this.#owner.source.background(-1);
    if (this.#id !== 0) this.#owner.forget(this.#id);
  }

  #fire(): void {
    if (!this.#referenced) this.#owner.source.background(-1);
    if (this.#repeat) this.#arm();
    else if (this.#id !== 0) this.#owner.forget(this.#id);
    try {
      this.#callback(...this.#args);
    } catch (error) {
      this.#owner.source.report(error);
    }
  }
}

/** Node's timer functions on virtual time. */
export class VirtualTimers {
  readonly source: TimeoutSource;
  readonly #byId = new Map<number, VirtualTimeout>();
  #ids = 0;

  constructor(source: TimeoutSource) {
    this.source = source;
  }

  /** The timeout gets a number: some code keeps that instead of the object. */
  remember(timeout: VirtualTimeout): number {
    this.#byId.set(++this.#ids, timeout);
    return this.#ids;
  }

  forget(id: number): void {
    this.#byId.delete(id);
  }

  timeout(callback: Callback, delay: number, args: readonly unknown[]): VirtualTimeout {
    return new VirtualTimeout(this, callback, delay, args, false);
  }

  immediate(callback: Callback, args: readonly unknown[]): VirtualTimeout {
    return new VirtualTimeout(this, callback, 0, args, false);
  }

  /** `setTimeout` and the other global functions, by name. */
  functions(): Record<string, unknown> {
    const clear = (timeout: unknown): void => {
      if (timeout instanceof VirtualTimeout) timeout.close();
      else this.#byId.get(Number(timeout))?.close();
    };
    const setTimeout = (callback: unknown, delay?: unknown, ...args: unknown[]): VirtualTimeout =>
      this.timeout(checked(callback), clamp(delay), args);
    const setImmediate = (callback: unknown, ...args: unknown[]): VirtualTimeout =>
      this.immediate(checked(callback), args);
    const promises = this.promises();
    Object.defineProperty(setTimeout, promisifyCustom, { value: promises["setTimeout"] });
    Object.defineProperty(setImmediate, promisifyCustom, { value: promises["setImmediate"] });
    return {
      setTimeout,
      setInterval: (callback: unknown, delay?: unknown, ...args: unknown[]): VirtualTimeout =>
        new VirtualTimeout(this, checked(callback), clamp(delay), args, true),
      setImmediate,
      clearTimeout: clear,
      clearInterval: clear,
      clearImmediate: clear,
    };
  }

  /** The functions of `node:timers/promises`, by name. */
  promises(): Record<string, unknown> {
    const wait = (delay: number, value: unknown, options: WaitOptions = {}): Promise<unknown> =>
      new Promise((resolve, reject) => {
        const { signal, ref } = options;
        const aborted = (): Error => new DOMException("The operation was aborted", "AbortError");
        if (signal?.aborted === true) {
          reject(aborted());
          return;
        }
        const timeout = this.timeout(
          () => {
            signal?.removeEventListener("abort", stop);
            resolve(value);
          },
          delay,
          [],
        );
        const stop = (): void => {
          timeout.close();
          reject(aborted());
        };
        if (ref === false) timeout.unref();
        signal?.addEventListener("abort", stop, { once: true });
      });
    const setTimeout = (delay?: unknown, value?: unknown, options?: WaitOptions): Promise<unknown> =>
      wait(clamp(delay), value, options);
    return {
      setTimeout,
      setImmediate: (value?: unknown, options?: WaitOptions): Promise<unknown> => wait(0, value, options),
      setInterval: async function* (delay?: unknown, value?: unknown, options?: WaitOptions) {
        for (;;) yield await wait(clamp(delay), value, options);
      },
      scheduler: {
        wait: (delay?: unknown, options?: WaitOptions): Promise<unknown> => wait(clamp(delay), undefined, options),
        yield: (): Promise<unknown> => wait(0, undefined),
      },
    };
  }
}

interface WaitOptions {
  readonly signal?: AbortSignal;
  readonly ref?: boolean;
}

function checked(callback: unknown): Callback {
  if (typeof callback !== "function") throw new TypeError("callback is not a function");
  // as: checked to be a function; its arguments are the caller's affair
  return callback as Callback;
}

function clamp(delay: unknown): number {
  const milliseconds = Number(delay);
  return milliseconds >= 1 && milliseconds <= longestDelay ? Math.trunc(milliseconds) : 1;
}
