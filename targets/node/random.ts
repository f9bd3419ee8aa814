import { randomFillSync } from "node:crypto";
import type { Random } from "@tesserae/device/random";

/** Words fetched at once: one call of the generator costs more than a thousand bytes of its output. */
const poolWords = 1024;

/** The operating system's cryptographically secure generator. */
export function createRandom(): Random {
  return new SystemRandom();
}

class SystemRandom implements Random {
  readonly #pool = new Uint32Array(poolWords);
  #next = poolWords;

  fill(bytes: Uint8Array): void {
    randomFillSync(bytes);
  }

  uint32(): number {
    if (this.#next === poolWords) {
      randomFillSync(this.#pool);
      this.#next = 0;
    }
    const index = this.#next++;
    const word = this.#pool[index] ?? 0;
    // A word handed out is not kept: it may have become a secret.
    this.#pool[index] = 0;
    return word;
  }
}
