import { nameToText } from "../name-bytes.ts";
import { keysAt, type KeySet, type ScheduledKey } from "./key-schedule.ts";

/** The keys of a zone that is signed, as their times say. */
export class CurrentKeys {
  readonly #apex: Uint8Array;
  #keys: readonly ScheduledKey[];
  #set: KeySet;

  /**
   * @param now seconds since 1970
   * @throws RangeError when none of the keys signs now.
   */
  constructor(apex: Uint8Array, keys: readonly ScheduledKey[], now: number) {
    this.#apex = apex;
    this.#keys = keys;
    this.#set = this.#check(keys, now);
  }

  /** All of them, whatever their times are. */
  get all(): readonly ScheduledKey[] {
    return this.#keys;
  }

  /** What they do since the last change. */
  get set(): KeySet {
    return this.#set;
  }

  /** These are the keys from now on. @throws RangeError when none of them signs now: then nothing changes. */
  replace(keys: readonly ScheduledKey[], now: number): void {
    this.#set = this.#check(keys, now);
    this.#keys = keys;
  }

  /** Takes what the keys do by now. */
  advance(now: number): void {
    const after = keysAt(this.#keys, now);
    // Better a signature by a key whose time is over than none.
    this.#set = after.signing.length > 0 ? after : { ...this.#set, until: after.until };
  }

  #check(keys: readonly ScheduledKey[], now: number): KeySet {
    const set = keysAt(keys, now);
    if (set.signing.length === 0) throw new RangeError(`${nameToText(this.#apex)}: no key signs now`);
    return set;
  }
}
