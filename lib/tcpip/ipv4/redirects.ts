import type { IpAddress } from "@tesserae/device/address";
import type { Timer, Timers } from "@tesserae/device/clock";
import type { InternedAddresses } from "./interned-address.ts";
import type { Interfaces } from "./interfaces.ts";
import { isQuoteOfOurs } from "./quoted-error.ts";
import type { Ipv4Statistics } from "./statistics.ts";
import { ipv4 } from "./wire.ts";

/** How long a redirect is followed, milliseconds: as long as one of IPv6. */
const lifetime = 600_000;

export interface RedirectOptions {
  readonly interfaces: Interfaces;
  readonly interned: InternedAddresses;
  readonly statistics: Ipv4Statistics;
  readonly timers: Timers;
}

/** What routers tell of better first hops, believed as far as RFC 1122 §3.2.2.2 goes, where it is asked for at all. */
export class Redirects {
  readonly #interfaces: Interfaces;
  readonly #interned: InternedAddresses;
  readonly #statistics: Ipv4Statistics;
  readonly #timers: Timers;
  readonly #timer: Timer;
  /** When each destination's ends, the first to end first. The routes themselves are bounded by their table. */
  readonly #ends = new Map<number, number>();

  constructor(options: RedirectOptions) {
    this.#interfaces = options.interfaces;
    this.#interned = options.interned;
    this.#statistics = options.statistics;
    this.#timers = options.timers;
    this.#timer = options.timers.timer(() => this.#expire());
  }

  /**
   * Takes a redirect that came in by interface `index`, and quotes the packet at `bytes[offset … offset + length)`.
   *
   * @param gateway the better first hop, as `IpAddress.w3`
   */
  told(reporter: IpAddress, index: number, gateway: number, bytes: Uint8Array, offset: number, length: number): void {
    const destination = length < ipv4.size ? 0 : ipv4.field.destination.word(bytes, offset);
    if (
      !isQuoteOfOurs(this.#interfaces, bytes, offset, length) ||
      !this.#isBetter(reporter.w3, index, gateway, destination)
    ) {
      this.#statistics.redirectsIgnored++;
      return;
    }
    this.#statistics.redirects++;
    const { routes } = this.#interfaces;
    routes.redirect(index, this.#interned.get(destination), this.#interned.get(gateway));
    this.#interfaces.changed();
    this.#ends.delete(destination);
    this.#ends.set(destination, this.#timers.now() + lifetime);
    for (const each of this.#ends.keys()) {
      if (this.#ends.size <= routes.mostRedirects) break;
      this.#ends.delete(each);
    }
    this.#arm();
  }

  /** Nobody answers on the way to `destination`, given as `IpAddress.w3`: a redirect there is void. */
  failed(destination: number): void {
    if (this.#ends.delete(destination) && this.#interfaces.routes.restore(destination)) this.#interfaces.changed();
  }

  close(): void {
    this.#timer.cancel();
    this.#ends.clear();
  }

  /** Only the router in use for a destination may name another, and only one on its link (RFC 1122 §3.2.2.2). */
  #isBetter(reporter: number, index: number, gateway: number, destination: number): boolean {
    const { routes, forwarding } = this.#interfaces;
    const on = this.#interfaces.get(index);
    // RFC 1812 §5.2.7.2: a router knows better.
    if (on?.prefix === undefined || !on.redirects || forwarding) return false;
    const place = routes.find(destination);
    return (
      place >= 0 &&
      routes.interfaceAt(place) === index &&
      routes.nextHopAt(place, destination) === reporter &&
      reporter !== destination &&
      gateway !== reporter &&
      gateway !== on.own &&
      gateway !== on.broadcast &&
      on.prefix.contains(this.#interned.get(gateway))
    );
  }

  #expire(): void {
    const now = this.#timers.now();
    for (const [destination, end] of this.#ends) {
      if (end > now) break;
      this.failed(destination);
    }
    this.#arm();
  }

  #arm(): void {
    for (const end of this.#ends.values()) {
      this.#timer.set(end);
      return;
    }
  }
}
