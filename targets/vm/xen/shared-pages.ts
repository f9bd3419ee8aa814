import { pageSize, type SharedPages } from "@tesserae/xen/grant";
import { XenError } from "@tesserae/xen/xen-error";
import type { DmaMemory } from "../window/window.ts";

/** Memory of this domain in pages that follow each other in the machine's memory, too. */
export class WindowPages implements SharedPages {
  readonly bytes: Uint8Array;
  readonly count: number;
  /** Number of the first page in the machine's memory. */
  readonly frame: number;
  /** Grants of its pages that are live. */
  grants = 0;
  readonly #memory: DmaMemory;

  constructor(memory: DmaMemory) {
    this.#memory = memory;
    this.bytes = memory.bytes;
    this.count = memory.bytes.length / pageSize;
    this.frame = memory.physical / pageSize;
  }

  release(): void {
    if (this.grants > 0) throw new XenError("refused", `${this.grants} of the memory's pages are granted`);
    this.#memory.release();
  }

  /** @throws TypeError for memory of anybody else. */
  static of(pages: SharedPages): WindowPages {
    if (pages instanceof WindowPages) return pages;
    throw new TypeError("the memory is not this domain's");
  }
}
