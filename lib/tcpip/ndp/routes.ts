/** The ways out of one interface: what was configured, and what routers told (RFC 4861 §5.1, RFC 4191). Pure. */

import type { Prefix } from "@tesserae/device/address";
import { type IpAddress } from "@tesserae/device/address";

/** Bounds against routers that tell too much. What is there stays, and what is told beyond them is passed over. */
const mostRouters = 8;
const mostPrefixes = 16;
const mostRoutes = 16;
const mostConfigured = 64;
const mostRedirects = 32;

export type RouteOrigin = "configured" | "router" | "prefix" | "route" | "redirect";

/** One way. */
export class Route6 {
  readonly prefix: Prefix;
  /** The router; absent when the destinations are on the link. */
  readonly gateway: IpAddress | undefined;
  readonly origin: RouteOrigin;
  /** −1 low, 0 medium, 1 high. */
  preference = 0;
  /** The instant at which it ends, or `Infinity`. */
  expires = Infinity;
  /** Its router has not answered: others are preferred. */
  isDead = false;

  constructor(prefix: Prefix, gateway: IpAddress | undefined, origin: RouteOrigin) {
    this.prefix = prefix;
    this.gateway = gateway;
    this.origin = origin;
  }
}

const bounds: Readonly<Record<RouteOrigin, number>> = {
  configured: mostConfigured,
  router: mostRouters,
  prefix: mostPrefixes,
  route: mostRoutes,
  redirect: mostRedirects,
};

export class InterfaceRoutes {
  /** What was told and not taken, as there was no room for it. */
  refused = 0;
  #routes: Route6[] = [];
  readonly #changed: () => void;

  /** @param changed is called after each change, when a choice made before may not be the best any more */
  constructor(changed: () => void) {
    this.#changed = changed;
  }

  get all(): readonly Route6[] {
    return this.#routes;
  }

  /** The routers that take what is not on the link, the one that is used first. */
  get defaultRouters(): readonly IpAddress[] {
    return this.#routes
      .filter(({ prefix, gateway }) => prefix.length === 0 && gateway !== undefined)
      .sort((a, b) => Number(a.isDead) - Number(b.isDead) || b.preference - a.preference)
      .flatMap(({ gateway }) => gateway ?? []);
  }

  /**
   * Adds a way, or says how long it lasts now.
   *
   * @param expires the instant at which it ends; one that is past takes it away
   */
  set(
    origin: RouteOrigin,
    prefix: Prefix,
    gateway: IpAddress | undefined,
    expires: number,
    preference: number,
    now: number,
  ): void {
    const known = this.#routes.find(
      (each) => each.origin === origin && sameGateway(each.gateway, gateway) && samePrefix(each.prefix, prefix),
    );
    if (expires <= now) {
      if (known !== undefined) this.#remove((each) => each === known);
      return;
    }
    if (known !== undefined) {
      const isNews = known.preference !== preference;
      known.expires = expires;
      known.preference = preference;
      if (isNews) this.#changed();
      return;
    }
    if (this.#routes.filter((each) => each.origin === origin).length >= bounds[origin]) {
      this.refused++;
      if (origin !== "redirect") return;
      // Of redirects the newest count: each one repairs what goes wrong now.
      const oldest = this.#routes.find((each) => each.origin === "redirect");
      this.#routes = this.#routes.filter((each) => each !== oldest);
    }
    const made = new Route6(prefix, gateway, origin);
    made.expires = expires;
    made.preference = preference;
    this.#routes = [...this.#routes, made];
    this.#changed();
  }

  /** Takes away the configured ways, or all. */
  clear(origin?: RouteOrigin): void {
    this.#remove((each) => origin === undefined || each.origin === origin);
  }

  /** Whether a neighbour answers has changed. */
  mark(gateway: IpAddress, isDead: boolean): void {
    let isNews = false;
    for (const each of this.#routes) {
      if (each.gateway?.equals(gateway) !== true || each.isDead === isDead) continue;
      each.isDead = isDead;
      isNews = true;
    }
    // A redirect to a router that does not answer is void (RFC 4861 §7.3.3).
    if (isDead) this.#remove((each) => each.origin === "redirect" && each.gateway?.equals(gateway) === true);
    if (isNews) this.#changed();
  }

  /** Takes away what has expired. @returns when the next one does, or `Infinity`. */
  expire(now: number): number {
    this.#remove((each) => each.expires <= now);
    return this.#routes.reduce((next, each) => Math.min(next, each.expires), Infinity);
  }

  /** The best way to `destination`: the most specific, then one whose router answers, then the preferred one. */
  find(destination: IpAddress): Route6 | undefined {
    let best: Route6 | undefined;
    for (const each of this.#routes) {
      if (each.prefix.contains(destination) && (best === undefined || isBetter(each, best))) best = each;
    }
    return best;
  }

  /** Whether the address is on the link, by a prefix. */
  isOnLink(address: IpAddress): boolean {
    const best = this.find(address);
    return best !== undefined && best.gateway === undefined;
  }

  #remove(goes: (route: Route6) => boolean): void {
    const rest = this.#routes.filter((each) => !goes(each));
    if (rest.length === this.#routes.length) return;
    this.#routes = rest;
    this.#changed();
  }
}

/** Whether a way is better than another that also leads to the destination. */
export function isBetter(a: Route6, b: Route6): boolean {
  if (a.prefix.length !== b.prefix.length) return a.prefix.length > b.prefix.length;
  // What a router said of one destination goes before what it said of its prefix.
  if ((a.origin === "redirect") !== (b.origin === "redirect")) return a.origin === "redirect";
  if (a.isDead !== b.isDead) return b.isDead;
  if ((a.origin === "configured") !== (b.origin === "configured")) return a.origin === "configured";
  return a.preference > b.preference;
}

function samePrefix(a: Prefix, b: Prefix): boolean {
  return a.length === b.length && a.contains(b.address);
}

function sameGateway(a: IpAddress | undefined, b: IpAddress | undefined): boolean {
  return a === undefined ? b === undefined : b !== undefined && a.equals(b);
}
