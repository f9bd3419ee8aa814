import type { IpAddress } from "@tesserae/device/address";
import { protocolTcp, protocolUdp } from "@tesserae/device/ip";
import type { Random } from "@tesserae/device/random";
import { readInt32 } from "@tesserae/wire/field";

/**
 * Flow labels (RFC 6437 §3, stateless): a keyed hash of addresses, protocol and ports, so that routers can spread flows
 * without looking for the ports. An ICMP error that quotes the right one proves that its sender is on the path.
 */
export class FlowLabels {
  readonly #key0: number;
  readonly #key1: number;

  constructor(random: Random) {
    this.#key0 = random.uint32() | 0;
    this.#key1 = random.uint32() | 0;
  }

  /** 20 bits, never 0, for a packet whose transport header is at `bytes[offset … offset + length)`. */
  get(
    source: IpAddress,
    destination: IpAddress,
    protocol: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
  ): number {
    const hasPorts = (protocol === protocolTcp || protocol === protocolUdp) && length >= 4;
    let hash = mix(this.#key0 ^ protocol, hasPorts ? readInt32(bytes, offset) : 0);
    hash = mix(hash, destination.w3 ^ this.#key1);
    hash = mix(hash, destination.w2);
    hash = mix(hash, destination.w1);
    hash = mix(hash, destination.w0);
    hash = mix(hash, source.w3);
    hash = mix(hash, source.w2);
    hash = mix(hash, source.w1);
    hash = mix(hash, this.#key1);
    const label = (hash ^ (hash >>> 12)) & 0xfffff;
    return label === 0 ? 1 : label;
  }
}

function mix(hash: number, word: number): number {
  const mixed = Math.imul(hash ^ word, 0x85ebca6b);
  return Math.imul(mixed ^ (mixed >>> 15), 0xc2b2ae35) ^ (mixed >>> 13);
}
