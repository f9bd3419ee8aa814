import { IpAddress } from "@tesserae/device/address";
import { readInt32 } from "@tesserae/wire/field";

/** A power of two. */
const slots = 512;

/**
 * Gives IPv6 addresses as objects without making a new one for each packet: a direct-mapped table of the ones seen
 * last. A collision costs an allocation and nothing else, so there is nothing in it to attack.
 */
export class InternedAddresses6 {
  readonly #table: IpAddress[] = new Array<IpAddress>(slots).fill(IpAddress.any6);

  /** The address in the sixteen bytes at `offset`. */
  read(bytes: Uint8Array, offset: number): IpAddress {
    const w0 = readInt32(bytes, offset);
    const w1 = readInt32(bytes, offset + 4);
    const w2 = readInt32(bytes, offset + 8);
    const w3 = readInt32(bytes, offset + 12);
    const slot = (w3 ^ (w3 >>> 11) ^ w2 ^ (w1 >>> 3)) & (slots - 1);
    const known = this.#table[slot];
    if (known !== undefined && known.w3 === w3 && known.w2 === w2 && known.w1 === w1 && known.w0 === w0) return known;
    const made = new IpAddress(6, w0, w1, w2, w3);
    this.#table[slot] = made;
    return made;
  }
}
