/** Explicit congestion notification in TCP (RFC 3168 §6): what one connection that both sides agreed about remembers. */

import { add, isAfter } from "./sequence.ts";
import { flagAck, flagCwr, flagEce, flagSyn } from "./wire.ts";

/** Whether ECN is offered in our SYNs, accepted in others' only, or neither. */
export type EcnMode = "offer" | "accept" | "off";

export const ecnModes: readonly EcnMode[] = ["offer", "accept", "off"];

/** The two bits of the IP header (RFC 3168 §5): not capable, capable, and marked by a queue. */
export const notCapable = 0;
export const capable = 2;
export const congestionExperienced = 3;

const both: number = flagEce | flagCwr;

/** Whether these are the flags of an ECN-setup SYN (§6.1.1). */
export function isSetupSyn(flags: number): boolean {
  return (flags & (both | flagSyn | flagAck)) === (both | flagSyn);
}

/**
 * Whether these are the flags of an ECN-setup SYN-ACK (§6.1.1): ECE alone. A host that only reflects the reserved bits
 * of a SYN sets both.
 */
export function isSetupSynAck(flags: number): boolean {
  return (flags & (both | flagSyn | flagAck)) === (flagEce | flagSyn | flagAck);
}

export class Ecn {
  /** A packet of the peer's was marked, and the peer has not said yet that it sends less: our ACKs say ECE. */
  echoing = false;
  /** The window was reduced: the next new data says CWR. */
  mustConfirm = false;
  /** SND.MAX when the window was reduced last: echoes of ACKs up to it tell of the same congestion. */
  #reducedAt: number;
  /** Packets of the peer's that arrived marked, and ACKs of its that said ECE. */
  marked = 0;
  echoes = 0;

  /** @param una SND.UNA */
  constructor(una: number) {
    this.#reducedAt = una;
  }

  /**
   * An acceptable segment of the peer's came.
   *
   * @param bits the ECN bits of its IP header
   * @returns whether it was the first to bring news of congestion, which the peer should have without delay
   */
  received(flags: number, bits: number): boolean {
    if ((flags & flagCwr) !== 0) this.echoing = false;
    if (bits !== congestionExperienced) return false;
    this.marked++;
    const isNews = !this.echoing;
    this.echoing = true;
    return isNews;
  }

  /**
   * An ACK up to `ack` came. @returns whether it asks for a smaller window: it says ECE, and it is the first of its
   * round trip. The caller reduces the window, and calls {@link reduced}.
   */
  acknowledged(flags: number, ack: number): boolean {
    const isNext = isAfter(ack, this.#reducedAt);
    // In a SYN-ACK, that of a simultaneous open, it has another meaning.
    if ((flags & (flagEce | flagSyn)) !== flagEce) {
      // Follows, or it would look ahead after 2 GiB without congestion.
      if (isNext) this.#reducedAt = add(ack, -1);
      return false;
    }
    this.echoes++;
    return isNext;
  }

  /** The window was reduced, for whatever reason, with all before `max` sent. */
  reduced(max: number): void {
    this.#reducedAt = max;
    this.mustConfirm = true;
  }

  /** The flags to add to a segment that leaves. `isNew`: it has data, none of which was sent before. */
  flags(isNew: boolean): number {
    return (this.echoing ? flagEce : 0) | (isNew && this.mustConfirm ? flagCwr : 0);
  }

  /** A segment with those flags has left. */
  sent(flags: number): void {
    if ((flags & flagCwr) !== 0) this.mustConfirm = false;
  }
}
