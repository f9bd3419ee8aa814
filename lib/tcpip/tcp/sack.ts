/** The SACK option as a sender reads it (RFC 2018, RFC 2883). */

import type { Scoreboard } from "./scoreboard.ts";
import { distance, isAfter, isAtMost, isBefore } from "./sequence.ts";
import type { SegmentOptions } from "./wire.ts";

/** The blocks of one ACK, sorted out. Reused from ACK to ACK. */
export class SackReader {
  /** The duplicate that the first block reports (RFC 2883 §4); empty when there is none. */
  duplicateLeft = 0;
  duplicateRight = 0;
  readonly #edges = new Int32Array(8);

  get hasDuplicate(): boolean {
    return this.duplicateLeft !== this.duplicateRight;
  }

  /**
   * Takes the blocks of an ACK of everything up to `ack` to the scoreboard, lowest first. A block that is not of what is
   * out, or that is empty or turned round, is passed over.
   *
   * @param oldest duplicates of what was acknowledged before it are not believed
   * @returns whether something was news.
   */
  read(options: SegmentOptions, ack: number, board: Scoreboard, oldest: number): boolean {
    this.duplicateLeft = 0;
    this.duplicateRight = 0;
    const edges = this.#edges;
    let count = 0;
    for (let block = 0; block < options.sackBlocks; block++) {
      const left = options.sackEdges[block * 2] ?? 0;
      const right = options.sackEdges[block * 2 + 1] ?? 0;
      if (!isBefore(left, right)) continue;
      if (block === 0 && this.#isDuplicate(options, left, right, ack)) {
        if (!isBefore(left, oldest) && !isAfter(right, board.end)) {
          this.duplicateLeft = left;
          this.duplicateRight = right;
        }
        continue;
      }
      if (isBefore(left, board.start) || isAfter(right, board.end)) continue;
      let at = count++;
      for (; at > 0 && isAfter(edges[at * 2 - 2] ?? 0, left); at--) {
        edges[at * 2] = edges[at * 2 - 2] ?? 0;
        edges[at * 2 + 1] = edges[at * 2 - 1] ?? 0;
      }
      edges[at * 2] = left;
      edges[at * 2 + 1] = right;
    }
    let isNews = false;
    for (let block = 0; block < count; block++) {
      if (board.sack(edges[block * 2] ?? 0, edges[block * 2 + 1] ?? 0)) isNews = true;
    }
    return isNews;
  }

  /** RFC 2883 §4: the first block, when it is below the ACK or lies in the second. */
  #isDuplicate(options: SegmentOptions, left: number, right: number, ack: number): boolean {
    if (isAtMost(right, ack)) return true;
    if (options.sackBlocks < 2) return false;
    const outerLeft = options.sackEdges[2] ?? 0;
    const outerRight = options.sackEdges[3] ?? 0;
    return distance(left, outerLeft) >= 0 && distance(outerRight, right) >= 0;
  }
}
