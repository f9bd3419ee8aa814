/** Where a packet goes next, and which of our addresses it comes from (RFC 1122 §3.3.1, §3.3.4.3). */

import type { IpAddress, Prefix } from "@tesserae/device/address";

/** One way out. */
export interface Route {
  /** The destinations it serves. */
  readonly prefix: Prefix;
  /** The router to hand packets to; absent when the destinations are on the link. */
  readonly gateway?: IpAddress;
}

/** A bound against configuration (or a DHCP server) gone wrong. */
const mostRoutes = 64;

/** Routes ordered so that the first match is the most specific one. */
export class RouteTable {
  readonly #networks = new Int32Array(mostRoutes);
  readonly #masks = new Int32Array(mostRoutes);
  /** 0 is on the link. */
  readonly #gateways = new Int32Array(mostRoutes);
  readonly #routes: Route[] = [];

  get routes(): readonly Route[] {
    return this.#routes;
  }

  /**
   * Replaces all routes. What does not fit is left out, the least specific first.
   *
   * @returns how many were left out.
   */
  set(routes: readonly Route[]): number {
    const sorted = routes
      .filter((route) => route.prefix.address.family === 4)
      .sort((a, b) => b.prefix.length - a.prefix.length);
    this.#routes.length = 0;
    for (const route of sorted.slice(0, mostRoutes)) {
      const index = this.#routes.length;
      const mask = route.prefix.length === 0 ? 0 : -1 << (32 - route.prefix.length);
      this.#masks[index] = mask;
      this.#networks[index] = route.prefix.address.w3 & mask;
      this.#gateways[index] = route.gateway?.w3 ?? 0;
      this.#routes.push(route);
    }
    return sorted.length - this.#routes.length;
  }

  /** The next hop towards `destination`: itself when it is on the link, a router, or 0 when there is no way. */
  nextHop(destination: number): number {
    const count = this.#routes.length;
    for (let index = 0; index < count; index++) {
      if ((destination & (this.#masks[index] ?? 0)) !== this.#networks[index]) continue;
      const gateway = this.#gateways[index] ?? 0;
      return gateway === 0 ? destination : gateway;
    }
    return 0;
  }
}
