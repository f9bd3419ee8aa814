import { pageSize, type SharedPages } from "../grant.ts";
import { XenError } from "../xen-error.ts";

/** Memory of a simulated domain. */
export class SimulatedPages implements SharedPages {
  readonly bytes: Uint8Array;
  readonly count: number;
  /** Grants of its pages that are live. */
  grants = 0;
  readonly #released: () => void;
  #isReleased = false;

  constructor(count: number, released: () => void) {
    this.bytes = new Uint8Array(count * pageSize);
    this.count = count;
    this.#released = released;
  }

  get isReleased(): boolean {
    return this.#isReleased;
  }

  release(): void {
    if (this.#isReleased) return;
    if (this.grants > 0) throw new XenError("refused", `${this.grants} grants of the memory are live`);
    this.#isReleased = true;
    this.#released();
  }
}
