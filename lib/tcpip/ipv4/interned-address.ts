import { IpAddress } from "@tesserae/device/address";

/** A power of two. */
const slots = 512;

/**
 * Gives IPv4 addresses as objects without making a new one for each packet: a direct-mapped table of the ones seen
 * last. A collision costs an allocation and nothing else, so there is nothing in it to attack.
 */
export class InternedAddresses {
  readonly #table: IpAddress[] = new Array<IpAddress>(slots).fill(IpAddress.any4);

  /** @param word the address as in `IpAddress.w3` */
  get(word: number): IpAddress {
    // Neighbours on a link differ in the low bits, strangers in the high ones.
    const slot = (word ^ (word >>> 9) ^ (word >>> 20)) & (slots - 1);
    const known = this.#table[slot];
    if (known !== undefined && known.w3 === word) return known;
    const made = IpAddress.v4(word);
    this.#table[slot] = made;
    return made;
  }
}
