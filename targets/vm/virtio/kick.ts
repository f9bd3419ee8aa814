import type { VirtioDevice } from "./device.ts";
import type { SplitQueue } from "./queue.ts";

/** Publishes what was offered to a queue in one turn of the event loop together, with one notification at most. */
export class Kick {
  readonly #device: VirtioDevice;
  readonly #queue: SplitQueue;
  readonly #index: number;
  readonly #run: () => void;
  #queued = false;

  constructor(device: VirtioDevice, queue: SplitQueue, index: number) {
    this.#device = device;
    this.#queue = queue;
    this.#index = index;
    this.#run = () => {
      this.#queued = false;
      this.now();
    };
  }

  /** When the code that runs now has returned to the event loop. */
  soon(): void {
    if (this.#queued) return;
    this.#queued = true;
    queueMicrotask(this.#run);
  }

  now(): void {
    if (this.#device.isRunning && this.#queue.publish()) this.#device.transport.notify(this.#index);
  }
}
