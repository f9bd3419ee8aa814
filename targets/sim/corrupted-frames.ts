/** Frames that are remembered: more than are on their way from one wire to the next. */
const capacity = 256;

/**
 * Which frames have had a bit flipped on one of the wires they cross: none gets a second one. Two bits in the same
 * column of a sum of 16 bits (RFC 1071) can undo each other, which no receiver could tell; a real wire's own check
 * (IEEE 802.3 §3.2.9) leaves no such frames.
 *
 * A frame is known by its number, to the next host: one that a router sends on is a new one.
 */
export class CorruptedFrames {
  readonly #numbers = new Float64Array(capacity).fill(-1);
  #next = 0;

  /** @returns false when the frame is one of the last that were added. */
  add(frame: number): boolean {
    if (this.#numbers.includes(frame)) return false;
    this.#numbers[this.#next] = frame;
    this.#next = (this.#next + 1) % capacity;
    return true;
  }
}
