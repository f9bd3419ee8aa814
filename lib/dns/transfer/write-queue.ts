/** Writes to a store, one after the other, behind those who ask for them. One that fails does not hold up the next. */
export class WriteQueue {
  #writing: Promise<void> = Promise.resolve();
  #failure: Error | undefined = undefined;

  /** @param failed is told at once why `write` rejected */
  add(write: () => Promise<void>, failed: (error: unknown) => void): void {
    this.#writing = this.#writing.then(write).catch((error: unknown) => {
      this.#failure = error instanceof Error ? error : new Error(String(error));
      failed(error);
    });
  }

  /** Resolves when everything so far is written. @throws what a write that failed since the last call rejected with. */
  async flush(): Promise<void> {
    await this.#writing;
    if (this.#failure === undefined) return;
    const failure = this.#failure;
    this.#failure = undefined;
    throw failure;
  }

  /** Resolves when nothing so far is being written any more. */
  async idle(): Promise<void> {
    await this.#writing;
  }
}
