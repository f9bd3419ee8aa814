/**
 * What a `*.fuzz.ts` file exports, as `fuzz`: one parser or state machine fed with arbitrary bytes.
 *
 * The runner (`test/fuzz`) mutates the seeds, runs the target on each input, and shrinks what fails.
 */
export interface FuzzTarget {
  /** Unique in the project, in kebab-case: `tcp-options`. */
  readonly name: string;
  /** Inputs to start from, each one valid or close to it. The empty input and random bytes are tried anyway. */
  readonly seeds: readonly Uint8Array[];
  /**
   * Runs one input. `input` is the target's to change. A function of `input` alone: no state may survive from one run
   * to the next, or a failure cannot be replayed.
   *
   * @throws (or rejects) only when an invariant is broken; no input may make the code under test throw.
   */
  run(input: Uint8Array): void | Promise<void>;
}
