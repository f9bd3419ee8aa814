/** What fails a run: the first error of a task, a timer, an image or an invariant. Later ones follow from it. */
export class FirstFailure {
  #found: { readonly error: unknown } | undefined = undefined;

  get found(): { readonly error: unknown } | undefined {
    return this.#found;
  }

  fail(error: unknown): void {
    this.#found ??= { error };
  }

  /** Forgets it. */
  clear(): void {
    this.#found = undefined;
  }
}
