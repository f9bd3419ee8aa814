/** An Ethernet address as one integer below 2⁴⁹; those that begin with 02:00 are below 2³², which Maps like best. */
export function addressKey(bytes: Uint8Array, offset: number): number {
  const high = ((bytes[offset] ?? 0) << 8) | (bytes[offset + 1] ?? 0);
  const low =
    ((bytes[offset + 2] ?? 0) << 24) |
    ((bytes[offset + 3] ?? 0) << 16) |
    ((bytes[offset + 4] ?? 0) << 8) |
    (bytes[offset + 5] ?? 0);
  if (high === 0x0200) return low >>> 0;
  return (high === 0 ? 0x0200 : high) * 2 ** 32 + (low >>> 0);
}

/** Whether a key is that of a group: multicast or broadcast. */
function isGroup(key: number): boolean {
  return (Math.floor(key / 2 ** 40) & 1) === 1;
}

interface Place<P> {
  readonly address: number;
  readonly port: P;
  heard: number;
}

/** A port of a switch, as its {@link AddressTable} knows it. */
export class LearningPort {
  /** Where the last frame came from. Kept by the table. */
  last: Place<LearningPort> | undefined = undefined;
  /** Kept by the table, in the order in which they were first heard. */
  readonly addresses: Set<number> = new Set();
  readonly mostAddresses: number;

  /** @param mostAddresses how many are remembered for this port; the one first heard goes first */
  constructor(mostAddresses: number) {
    this.mostAddresses = mostAddresses;
  }
}

/**
 * Behind which port of a switch each address is, by the frames that came from there (IEEE 802.1D-2004 §7.8).
 *
 * Each port has room for a number of its own: who makes addresses up evicts those behind the same port only.
 */
export class AddressTable<P extends LearningPort> {
  readonly #aging: number;
  readonly #places = new Map<number, Place<P>>();

  /** @param aging milliseconds until an address not heard of is forgotten; default five minutes (§7.9.2) */
  constructor(aging = 300_000) {
    this.#aging = aging;
  }

  get size(): number {
    return this.#places.size;
  }

  /** The port that the address was last heard on. */
  find(address: number, now: number): P | undefined {
    const place = this.#places.get(address);
    return place !== undefined && place.heard + this.#aging > now ? place.port : undefined;
  }

  /** A frame from `address` has come in on `port`. */
  learn(port: P, address: number, now: number): void {
    const { last } = port;
    if (last?.address === address && last.port === port) {
      last.heard = now;
      return;
    }
    const known = this.#places.get(address);
    if (known !== undefined) {
      if (known.port === port) {
        known.heard = now;
        port.last = known;
        return;
      }
      forget(known.port, address);
      this.#places.delete(address);
    }
    // A group address is nobody's.
    if (isGroup(address)) return;
    const { addresses } = port;
    addresses.add(address);
    if (addresses.size > port.mostAddresses) {
      for (const oldest of addresses) {
        forget(port, oldest);
        this.#places.delete(oldest);
        break;
      }
    }
    const place = { address, port, heard: now };
    this.#places.set(address, place);
    port.last = place;
  }

  /** The port is no more. */
  forgetPort(port: P): void {
    for (const address of port.addresses) this.#places.delete(address);
    port.addresses.clear();
    port.last = undefined;
  }
}

function forget(port: LearningPort, address: number): void {
  port.addresses.delete(address);
  if (port.last?.address === address) port.last = undefined;
}
