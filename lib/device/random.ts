/**
 * Randomness as an argument.
 *
 * On real targets the bytes are cryptographically secure; in the simulator they follow from the seed.
 */
export interface Random {
  /** Fills all of `bytes`. Never fails and never blocks. */
  fill(bytes: Uint8Array): void;
  /** A uniformly distributed integer from 0 to 2³²−1. */
  uint32(): number;
}
