/** The low 64 bits of the addresses that a host makes for itself. Pure. */

import { IpAddress, type MacAddress } from "@tesserae/device/address";
import type { Random } from "@tesserae/device/random";
import { SipHash } from "@tesserae/wire/siphash";

/** `fe80::`. */
export const linkLocalPrefix: IpAddress = new IpAddress(6, 0xfe800000, 0, 0, 0);

/** Makes the address of an interface in a /64. */
export interface InterfaceIdentifiers {
  /** @param collisions how often an address of this prefix turned out to be taken (RFC 7217 §5, DAD_Counter) */
  address(prefix: IpAddress, collisions: number): IpAddress;
  /** Whether another address can be made when one is taken. */
  readonly canRetry: boolean;
}

/** From the MAC address (RFC 2464 §4): the same everywhere, for those who look for a host by it. */
export function modifiedEui64(mac: MacAddress): InterfaceIdentifiers {
  const w2 = ((mac.high ^ 0x0200) << 16) | ((mac.low >>> 24) << 8) | 0xff;
  const w3 = 0xfe000000 | (mac.low & 0xffffff);
  return { address: (prefix) => new IpAddress(6, prefix.w0, prefix.w1, w2, w3), canRetry: false };
}

/**
 * Stable in one network and different in each (RFC 7217): a keyed hash of prefix and interface.
 *
 * @param secret 16 bytes that stay the same for as long as the addresses are to
 */
export function stablePrivacy(secret: Uint8Array, mac: MacAddress): InterfaceIdentifiers {
  const hash = new SipHash(secret);
  const address = (prefix: IpAddress, collisions: number): IpAddress => {
    for (let attempt = 0; ; attempt++) {
      hash.start();
      hash.word(prefix.w0);
      hash.word(prefix.w1);
      hash.word(mac.high);
      hash.word(mac.low);
      hash.word(collisions);
      hash.word(attempt);
      const low = hash.finish();
      const made = new IpAddress(6, prefix.w0, prefix.w1, hash.high(), low);
      if (!isReserved(made)) return made;
    }
  };
  return { address, canRetry: true };
}

/** Drawn at random, for an address that is used for a while (RFC 8981 §3.3.1). */
export function randomIdentifiers(random: Random): InterfaceIdentifiers {
  const address = (prefix: IpAddress): IpAddress => {
    for (;;) {
      const made = new IpAddress(6, prefix.w0, prefix.w1, random.uint32(), random.uint32());
      if (!isReserved(made)) return made;
    }
  };
  return { address, canRetry: true };
}

/** RFC 5453: the anycast address of routers, IANA's block, and the anycast addresses of RFC 2526. */
export function isReserved(address: IpAddress): boolean {
  const high = address.w2 >>> 0;
  const low = address.w3 >>> 0;
  if (high === 0 && low === 0) return true;
  if (high === 0x02005eff && low >= 0xfe000000 && low <= 0xfe005212) return true;
  return high === 0xfdffffff && low >= 0xffffff80;
}
