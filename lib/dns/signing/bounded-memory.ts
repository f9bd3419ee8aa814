/** Remembers up to a number of bytes; what was not asked for longest is forgotten first. */
export class BoundedMemory<T> {
  readonly #limit: number;
  readonly #entries = new Map<string, { readonly value: T; readonly size: number }>();
  #size = 0;

  /** @param limit of the sum of the sizes given */
  constructor(limit: number) {
    this.#limit = limit;
  }

  get count(): number {
    return this.#entries.size;
  }

  get(id: string): T | undefined {
    const entry = this.#entries.get(id);
    if (entry === undefined) return undefined;
    // The order of a map is that of coming in.
    this.#entries.delete(id);
    this.#entries.set(id, entry);
    return entry.value;
  }

  clear(): void {
    this.#entries.clear();
    this.#size = 0;
  }

  /** @param size in bytes; some hundred are added for what holds it */
  set(id: string, value: T, size: number): void {
    const whole = size + 200;
    if (whole > this.#limit || this.#entries.has(id)) return;
    this.#entries.set(id, { value, size: whole });
    this.#size += whole;
    for (const [oldest, entry] of this.#entries) {
      if (this.#size <= this.#limit) break;
      this.#entries.delete(oldest);
      this.#size -= entry.size;
    }
  }
}
