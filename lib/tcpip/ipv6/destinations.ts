/** Which way a packet goes: the conceptual sending algorithm (RFC 4861 §5.2), and a cache of its results. */

import type { IpAddress } from "@tesserae/device/address";
import { isBetter, type Route6 } from "../ndp/routes.ts";
import { type SourceCandidate, selectSource } from "./address-selection.ts";
import type { Ipv6Interface } from "./interface.ts";
import { isLinkLocal, scopeInterface, scopeOf } from "./scope.ts";

/** A power of two. */
const slots = 256;

/** The way to one destination. */
export class Destination {
  readonly address: IpAddress;
  /** The interface that was asked for, or 0. */
  readonly index: number;
  readonly out: Ipv6Interface;
  /** The destination itself, or a router. Of no meaning for a group. */
  readonly nextHop: IpAddress;
  /** The address that packets come from, unless they say; `undefined` when there is none that fits. */
  readonly source: IpAddress | undefined;
  /** Whether the packet stays on this host. */
  readonly isLocal: boolean;
  /** Which state of the host it was found in. */
  readonly generation: number;

  constructor(
    address: IpAddress,
    index: number,
    out: Ipv6Interface,
    nextHop: IpAddress,
    source: IpAddress | undefined,
    isLocal: boolean,
    generation: number,
  ) {
    this.address = address;
    this.index = index;
    this.out = out;
    this.nextHop = nextHop;
    this.source = source;
    this.isLocal = isLocal;
    this.generation = generation;
  }
}

export class Destinations {
  readonly #interfaces: readonly Ipv6Interface[];
  readonly #slots: (Destination | undefined)[] = new Array<Destination | undefined>(slots).fill(undefined);
  #generation = 0;

  constructor(interfaces: readonly Ipv6Interface[]) {
    this.#interfaces = interfaces;
  }

  /** Forgets what was found: addresses, routes or neighbours are others. */
  invalidate(): void {
    this.#generation++;
  }

  /** The interface that has the address. */
  owner(address: IpAddress): Ipv6Interface | undefined {
    for (const each of this.#interfaces) {
      for (const own of each.book.assigned) if (own.address.equals(address)) return each;
    }
    return undefined;
  }

  /**
   * The way to `address`, or `undefined` when there is none. Allocates only when it is not in the cache.
   *
   * @param index the interface to leave by, from 1; 0: the one that follows
   * @param source the address that the packet comes from, where that is settled: it says of which link a link-local
   * destination is
   */
  find(address: IpAddress, index: number, source: IpAddress | undefined): Destination | undefined {
    const slot = (address.w3 ^ (address.w3 >>> 9) ^ address.w2 ^ address.w1) & (slots - 1);
    const known = this.#slots[slot];
    if (
      known !== undefined &&
      known.generation === this.#generation &&
      known.index === index &&
      known.address.equals(address) &&
      (known.isLocal || this.#interfaces.length === 1 || source === undefined || !isZoned(address))
    ) {
      return known;
    }
    const found = this.#find(address, index, source);
    if (found !== undefined) this.#slots[slot] = found;
    return found;
  }

  #find(address: IpAddress, index: number, source: IpAddress | undefined): Destination | undefined {
    if (address.isUnspecified || address.family !== 6) return undefined;
    const [first] = this.#interfaces;
    const asked = index === 0 ? undefined : this.#interfaces[index - 1];
    if (first === undefined || (index !== 0 && asked === undefined)) return undefined;
    if (address.isLoopback) return this.#make(address, index, first, address, address, true);
    const owner = this.owner(address);
    if (owner !== undefined) return this.#make(address, index, owner, address, address, true);
    if (address.isMulticast || isLinkLocal(address)) {
      const out = asked ?? this.#zone(address, source) ?? first;
      const isLocal = address.isMulticast && scopeOf(address) <= scopeInterface;
      return this.#make(address, index, out, address, undefined, isLocal);
    }
    let best: Route6 | undefined;
    let out: Ipv6Interface | undefined;
    for (const each of asked === undefined ? this.#interfaces : [asked]) {
      const route = each.routes.find(address);
      if (route === undefined || (best !== undefined && !isBetter(route, best))) continue;
      best = route;
      out = each;
    }
    if (best === undefined || out === undefined) return undefined;
    return this.#make(address, index, out, best.gateway ?? address, undefined, false);
  }

  /** The link of a link-local destination that nobody named: the source's, else where it has been met (RFC 4007 §6). */
  #zone(address: IpAddress, source: IpAddress | undefined): Ipv6Interface | undefined {
    if (this.#interfaces.length === 1) return this.#interfaces[0];
    const own = source === undefined ? undefined : this.owner(source);
    if (own !== undefined) return own;
    if (address.isMulticast) return this.#interfaces.find((each) => each.book.assigned.length > 0);
    return this.#interfaces.find((each) => each.neighbours.lookup(address) !== undefined);
  }

  #make(
    address: IpAddress,
    index: number,
    out: Ipv6Interface,
    nextHop: IpAddress,
    source: IpAddress | undefined,
    isLocal: boolean,
  ): Destination {
    const chosen = source ?? this.#source(address, out);
    return new Destination(address, index, out, nextHop, chosen, isLocal, this.#generation);
  }

  #source(destination: IpAddress, out: Ipv6Interface): IpAddress | undefined {
    // RFC 6724 §4: of other interfaces only addresses that mean something beyond their link.
    const candidates: SourceCandidate[] = [];
    for (const each of this.#interfaces) {
      for (const own of each.book.assigned) {
        if (each === out || (!isLinkLocal(own.address) && !isZoned(destination))) candidates.push(own);
      }
    }
    return selectSource(destination, candidates, out.index)?.address;
  }
}

/** Whether the address means something on one link only. */
function isZoned(address: IpAddress): boolean {
  return isLinkLocal(address) || (address.isMulticast && scopeOf(address) <= 2);
}
