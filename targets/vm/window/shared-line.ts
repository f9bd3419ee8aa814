import { InterruptFile } from "./interrupt-file.ts";
import type { Interrupt, InterruptLine } from "./window.ts";

/** One line of the I/O APICs for all who wait for it: devices on PCI share them. */
export class SharedLine {
  readonly #file: InterruptFile;
  readonly #callbacks = new Set<() => void>();
  /** Those of them that keep the event loop alive. */
  readonly #referenced = new Set<() => void>();
  readonly #onUnused: () => void;

  /**
   * @param onUnused called when the last one has closed its interrupt
   * @throws WindowError when there is no such line.
   */
  constructor(path: string, line: InterruptLine, onUnused: () => void) {
    this.#onUnused = onUnused;
    this.#file = new InterruptFile(path, line, () => {
      for (const callback of this.#callbacks) callback();
    });
  }

  add(callback: () => void): Interrupt {
    // A function of its own: the same callback may be given twice.
    const own = (): void => callback();
    this.#callbacks.add(own);
    this.#referenced.add(own);
    this.#file.ref();
    const unref = (): void => {
      if (this.#referenced.delete(own) && this.#referenced.size === 0) this.#file.unref();
    };
    return {
      message: undefined,
      unref,
      close: () => {
        unref();
        if (!this.#callbacks.delete(own) || this.#callbacks.size > 0) return;
        this.#file.close();
        this.#onUnused();
      },
    };
  }
}
