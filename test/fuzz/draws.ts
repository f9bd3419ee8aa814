import { SeededRandom } from "@tesserae/conformance/seeded-random";

/** What the fuzzer decides by: a sequence that follows from its seed. */
export class Draws extends SeededRandom {
  /** 0 to `limit` − 1; 0 when `limit` is below 1. */
  below(limit: number): number {
    return limit < 1 ? 0 : this.uint32() % limit;
  }
}
