/** Addresses from the prefixes that routers tell (RFC 4862 §5.5, RFC 8981). */

import { Prefix } from "@tesserae/device/address";
import type { Random } from "@tesserae/device/random";
import { isLinkLocal } from "../ipv6/scope.ts";
import type { AddressBook, InterfaceAddress } from "./address-book.ts";
import { type InterfaceIdentifiers, randomIdentifiers } from "./interface-identifier.ts";
import type { PrefixInformation } from "./wire.ts";

const twoHours = 7_200_000;
/** RFC 8981 §3.8, milliseconds. */
const temporaryValid = 172_800_000;
const temporaryPreferred = 86_400_000;
/** How long before a temporary address is deprecated the next one is made. */
const regenerateAdvance = 5000;
/** How often another address is tried when one is taken (RFC 7217 §6, IDGEN_RETRIES). */
const mostCollisions = 3;

/**
 * When an address ends, after a router has told a lifetime anew (RFC 4862 §5.5.3 e): nobody can end it sooner than in
 * two hours, as nobody can tell a router from a forger.
 *
 * @param validUntil the instant at which it ended so far
 * @param lifetime milliseconds, or `Infinity`
 */
export function renewedValidUntil(now: number, validUntil: number, lifetime: number): number {
  if (lifetime > twoHours || now + lifetime > validUntil) return now + lifetime;
  return Math.min(validUntil, now + twoHours);
}

/** Makes addresses, and keeps them for as long as routers tell. */
export class AddressConfiguration {
  readonly #book: AddressBook;
  readonly #identifiers: InterfaceIdentifiers;
  readonly #temporary: InterfaceIdentifiers | undefined;
  readonly #random: Random;
  /** Prefixes whose address turned out to be taken, and how often. Bounded by forgetting all. */
  readonly #collisions = new Map<string, number>();

  /** @param temporary whether to make temporary addresses, too */
  constructor(book: AddressBook, identifiers: InterfaceIdentifiers, random: Random, temporary: boolean) {
    this.#book = book;
    this.#identifiers = identifiers;
    this.#random = random;
    this.#temporary = temporary ? randomIdentifiers(random) : undefined;
  }

  /** Takes one prefix that a router told. */
  told(information: PrefixInformation, now: number): void {
    const { prefix, autonomous, validLifetime, preferredLifetime } = information;
    // RFC 4862 §5.5.3 a, b, d: interface identifiers have 64 bits (RFC 2464 §4).
    if (!autonomous || prefix.length !== 64 || isLinkLocal(prefix.address) || prefix.address.isMulticast) return;
    const known = this.#of(prefix, "slaac");
    if (known !== undefined) {
      this.#book.extend(known, renewedValidUntil(now, known.validUntil, validLifetime), now + preferredLifetime);
    } else if (validLifetime > 0 && this.#count(prefix) < mostCollisions) {
      this.#make(prefix, now + validLifetime, now + preferredLifetime);
    }
    if (this.#temporary !== undefined) this.#renewTemporary(information, now);
  }

  /** An address that was made here is another host's: tries another one, a bounded number of times. */
  taken(entry: InterfaceAddress): void {
    const prefix = new Prefix(entry.address, 64);
    const count = this.#count(prefix) + 1;
    if (this.#collisions.size >= 64) this.#collisions.clear();
    this.#collisions.set(key(prefix), count);
    if (count >= mostCollisions || !this.#identifiers.canRetry) return;
    if (entry.origin === "slaac") this.#make(prefix, entry.validUntil, entry.preferredUntil);
    else if (entry.origin === "temporary") this.#makeTemporary(prefix, entry.validUntil, entry.preferredUntil);
  }

  /** Makes the next temporary addresses, shortly before those that are there are deprecated. */
  regenerate(now: number): void {
    if (this.#temporary === undefined) return;
    for (const entry of this.#book.entries) {
      if (entry.origin !== "slaac" || entry.deprecated) continue;
      const prefix = new Prefix(entry.address, 64);
      const fresh = this.#book.entries.some(
        (each) => each.temporary && prefix.contains(each.address) && each.preferredUntil - regenerateAdvance > now,
      );
      if (fresh) continue;
      const { valid, preferred } = this.#temporaryTimes(now, entry.validUntil, entry.preferredUntil);
      if (preferred > now + regenerateAdvance) this.#makeTemporary(prefix, valid, preferred);
    }
  }

  /** When {@link regenerate} has something to do after `now`, or `Infinity`. */
  nextRegeneration(now: number): number {
    let next = Infinity;
    if (this.#temporary === undefined) return next;
    for (const entry of this.#book.entries) {
      if (entry.origin !== "slaac" || entry.deprecated) continue;
      const prefix = new Prefix(entry.address, 64);
      let latest = -Infinity;
      for (const each of this.#book.entries) {
        if (each.temporary && prefix.contains(each.address)) latest = Math.max(latest, each.preferredUntil);
      }
      const at = latest - regenerateAdvance;
      // Past: there was no lifetime left to make another one with.
      if (at > now) next = Math.min(next, at);
    }
    return next;
  }

  #renewTemporary({ prefix, validLifetime, preferredLifetime }: PrefixInformation, now: number): void {
    // RFC 8981 §3.4 rule 1: a lifetime told can shorten theirs, and lengthen it up to the bound from their making.
    for (const entry of this.#book.entries) {
      if (!entry.temporary || !prefix.contains(entry.address)) continue;
      const valid = Math.min(entry.validUntil, now + validLifetime);
      this.#book.extend(entry, valid, Math.min(entry.preferredUntil, now + preferredLifetime));
    }
    this.regenerate(now);
  }

  #temporaryTimes(now: number, validUntil: number, preferredUntil: number): { valid: number; preferred: number } {
    // RFC 8981 §3.8: spread, so that hosts do not all change at once.
    const desync = 0.4 * temporaryPreferred * (this.#random.uint32() / 0x1_0000_0000);
    return {
      valid: Math.min(validUntil, now + temporaryValid),
      preferred: Math.min(preferredUntil, now + temporaryPreferred - desync),
    };
  }

  #make(prefix: Prefix, validUntil: number, preferredUntil: number): void {
    const address = this.#identifiers.address(prefix.address, this.#count(prefix));
    void this.#book.add({ prefix: new Prefix(address, 64), origin: "slaac", probe: true, validUntil, preferredUntil });
  }

  #makeTemporary(prefix: Prefix, validUntil: number, preferredUntil: number): void {
    const address = this.#temporary?.address(prefix.address, 0);
    if (address === undefined) return;
    const made = new Prefix(address, 64);
    void this.#book.add({ prefix: made, origin: "temporary", probe: true, validUntil, preferredUntil });
  }

  #of(prefix: Prefix, origin: InterfaceAddress["origin"]): InterfaceAddress | undefined {
    return this.#book.entries.find((each) => each.origin === origin && prefix.contains(each.address));
  }

  #count(prefix: Prefix): number {
    return this.#collisions.get(key(prefix)) ?? 0;
  }
}

function key({ address }: Prefix): string {
  return `${address.w0} ${address.w1}`;
}
