/** What routers said about the size of packets (RFC 8201), with its lies bounded (RFC 5927 §7). */

import type { IpAddress } from "@tesserae/device/address";
import type { Random } from "@tesserae/device/random";
import { AddressEntry, AddressTable } from "../ip/address-table.ts";
import { leastMtu } from "./wire.ts";

/** How long an estimate is kept: then a larger one is tried (RFC 8201 §4: not within five minutes, ten recommended). */
export const pathMtuLifetime = 600_000;

class Estimate extends AddressEntry {
  mtu = 0;
  expires = 0;
}

/**
 * Path MTU estimates of the destinations whose path is narrower than the link. Bounded: the oldest estimate makes room,
 * and what is forgotten is learnt again from the next packet that is too big.
 */
export class PathMtu6 {
  readonly #capacity: number;
  readonly #estimates: AddressTable<Estimate>;

  constructor(random: Random, capacity = 256) {
    this.#capacity = capacity;
    this.#estimates = new AddressTable(random);
  }

  get size(): number {
    return this.#estimates.size;
  }

  /**
   * Takes in what a "packet too big" said. The caller has checked that it quotes a packet of ours.
   *
   * @param reported the next hop's MTU
   * @param quotedLength the length of the packet that was too big, its header included
   * @param current the MTU we assumed so far
   * @returns whether the path MTU went down. It never goes up: a longer packet that passed says more than a message.
   */
  lower(destination: IpAddress, reported: number, quotedLength: number, current: number, now: number): boolean {
    // RFC 8201 §4: less than the smallest MTU is nobody's; and the packet was longer than fits, but no longer than we send.
    if (reported < leastMtu || reported >= quotedLength || quotedLength > current || reported >= current) return false;
    let estimate = this.#estimates.get(destination);
    if (estimate === undefined) {
      if (this.#estimates.size >= this.#capacity) this.#forgetOldest();
      estimate = new Estimate(destination);
      this.#estimates.add(estimate);
    }
    estimate.mtu = reported;
    estimate.expires = now + pathMtuLifetime;
    return true;
  }

  /** The path MTU towards `destination`, at most `link`. */
  get(destination: IpAddress, link: number, now: number): number {
    const estimate = this.#estimates.get(destination);
    if (estimate === undefined) return link;
    if (estimate.expires <= now) {
      this.#estimates.remove(estimate);
      return link;
    }
    return Math.min(estimate.mtu, link);
  }

  #forgetOldest(): void {
    let oldest: Estimate | undefined;
    for (const each of this.#estimates.entries()) {
      if (oldest === undefined || each.expires < oldest.expires) oldest = each;
    }
    if (oldest !== undefined) this.#estimates.remove(oldest);
  }
}
