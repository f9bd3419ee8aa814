/** Where a packet goes next: by which interface, to whom (RFC 1122 §3.3.1, RFC 1812 §5.2.4.3). */

import { type IpAddress, Prefix } from "@tesserae/device/address";

/** One way out of an interface. */
export interface Route {
  /** The destinations it serves. */
  readonly prefix: Prefix;
  /** The router to hand packets to; absent when the destinations are on the link. */
  readonly gateway?: IpAddress;
}

/** A bound against configuration (or a DHCP server) gone wrong, for each interface. */
const mostOfInterface = 64;
const mostRoutes = 256;
const mostRedirects = 32;
/** Answers remembered; a power of two. */
const remembered = 512;
const unknown = -2;

interface Entry {
  readonly route: Route;
  readonly interface: number;
}

/**
 * Routes ordered so that the first match is the most specific one; of equal ones the lower interface wins. A search is
 * linear, and its answer is remembered: a table this small is walked once for each peer.
 */
export class RouteTable {
  readonly #networks = new Int32Array(mostRoutes + mostRedirects);
  readonly #masks = new Int32Array(mostRoutes + mostRedirects);
  readonly #interfaces = new Uint8Array(mostRoutes + mostRedirects);
  /** 0 is on the link. */
  readonly #gateways = new Int32Array(mostRoutes + mostRedirects);
  readonly #rememberedTargets = new Int32Array(remembered);
  readonly #rememberedPlaces = new Int16Array(remembered).fill(unknown);
  #configured: readonly Entry[] = [];
  /** The oldest first. Each is of one destination, so all go before the others. */
  #redirected: readonly Entry[] = [];
  #entries: readonly Entry[] = [];

  /** How many redirects are kept at most. */
  get mostRedirects(): number {
    return mostRedirects;
  }

  /** The routes in the order in which they are tried. */
  get entries(): readonly { readonly route: Route; readonly interface: number }[] {
    return this.#entries;
  }

  /**
   * Replaces all routes of one interface, redirects included. What does not fit is left out, the least specific first.
   *
   * @param index the interface, from 1
   * @returns how many were left out.
   */
  set(index: number, routes: readonly Route[]): number {
    const own = routes
      .filter((route) => route.prefix.address.family === 4)
      .sort((a, b) => b.prefix.length - a.prefix.length)
      .slice(0, mostOfInterface);
    const all = [
      ...this.#configured.filter((each) => each.interface !== index),
      ...own.map((route) => entry(index, route)),
    ]
      .sort((a, b) => b.route.prefix.length - a.route.prefix.length || a.interface - b.interface)
      .slice(0, mostRoutes);
    this.#configured = all;
    this.#redirected = this.#redirected.filter((each) => each.interface !== index);
    this.#arrange();
    return routes.length - all.filter((each) => each.interface === index).length;
  }

  /** A router has told of a better first hop to one destination. Of more than 32 the oldest goes. */
  redirect(index: number, destination: IpAddress, gateway: IpAddress): void {
    const made = entry(index, { prefix: new Prefix(destination, 32), gateway });
    this.#redirected = [...this.#redirected.filter((each) => !isTo(each, destination.w3)), made].slice(-mostRedirects);
    this.#arrange();
  }

  /** Takes back what {@link redirect} has said. @param destination as `IpAddress.w3`. @returns whether it had. */
  restore(destination: number): boolean {
    const rest = this.#redirected.filter((each) => !isTo(each, destination));
    if (rest.length === this.#redirected.length) return false;
    this.#redirected = rest;
    this.#arrange();
    return true;
  }

  #arrange(): void {
    this.#entries = [...this.#redirected, ...this.#configured];
    this.#rememberedPlaces.fill(unknown);
    this.#entries.forEach(({ route, interface: from }, place) => {
      const mask = route.prefix.length === 0 ? 0 : -1 << (32 - route.prefix.length);
      this.#masks[place] = mask;
      this.#networks[place] = route.prefix.address.w3 & mask;
      this.#gateways[place] = route.gateway?.w3 ?? 0;
      this.#interfaces[place] = from;
    });
  }

  /**
   * The place of the route towards `destination`, for {@link interfaceAt} and {@link nextHopAt}; −1 when there is none.
   *
   * @param index only routes of this interface; 0: of any
   */
  find(destination: number, index = 0): number {
    if (index !== 0) return this.#search(destination, index);
    const slot = (destination ^ (destination >>> 11) ^ (destination >>> 22)) & (remembered - 1);
    const known = this.#rememberedPlaces[slot] ?? unknown;
    if (known !== unknown && this.#rememberedTargets[slot] === destination) return known;
    const place = this.#search(destination, 0);
    this.#rememberedTargets[slot] = destination;
    this.#rememberedPlaces[slot] = place;
    return place;
  }

  /** The interface, from 1, of the route at a place. */
  interfaceAt(place: number): number {
    return this.#interfaces[place] ?? 0;
  }

  /** The neighbour that the route at a place hands packets for `destination` to: itself when it is on the link. */
  nextHopAt(place: number, destination: number): number {
    const gateway = this.#gateways[place] ?? 0;
    return gateway === 0 ? destination : gateway;
  }

  #search(destination: number, index: number): number {
    const count = this.#entries.length;
    for (let place = 0; place < count; place++) {
      if ((destination & (this.#masks[place] ?? 0)) !== this.#networks[place]) continue;
      if (index === 0 || this.#interfaces[place] === index) return place;
    }
    return -1;
  }
}

function isTo({ route }: Entry, destination: number): boolean {
  return route.prefix.address.w3 === destination;
}

function entry(index: number, route: Route): Entry {
  return { route, interface: index };
}
