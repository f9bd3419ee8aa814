/** The name servers and domains that routers told (RFC 8106), each for its time. */

import type { IpAddress } from "@tesserae/device/address";
import type { Lasting, NdpOptions } from "./wire.ts";

/** Bounds against routers that tell too much. */
const mostServers = 8;
const mostDomains = 8;

interface Kept<T> {
  readonly value: T;
  /** An instant. */
  expires: number;
}

export class Told {
  #servers: Kept<IpAddress>[] = [];
  #domains: Kept<string>[] = [];
  /** Called when they have changed. */
  changed: () => void = () => undefined;

  /** In the order in which they were told. */
  get nameServers(): readonly IpAddress[] {
    return this.#servers.map(({ value }) => value);
  }

  get search(): readonly string[] {
    return this.#domains.map(({ value }) => value);
  }

  note({ nameServers, search }: NdpOptions, now: number): void {
    const before = this.#text();
    const sameAddress = (a: IpAddress, b: IpAddress): boolean => a.equals(b);
    for (const each of nameServers) this.#servers = merge(this.#servers, each, mostServers, now, sameAddress);
    for (const each of search) this.#domains = merge(this.#domains, each, mostDomains, now, (a, b) => a === b);
    if (this.#text() !== before) this.changed();
  }

  /** Takes away what has expired. @returns when the next one does, or `Infinity`. */
  expire(now: number): number {
    const before = this.#servers.length + this.#domains.length;
    this.#servers = this.#servers.filter(({ expires }) => expires > now);
    this.#domains = this.#domains.filter(({ expires }) => expires > now);
    if (this.#servers.length + this.#domains.length !== before) this.changed();
    return [...this.#servers, ...this.#domains].reduce((next, { expires }) => Math.min(next, expires), Infinity);
  }

  #text(): string {
    return `${this.nameServers.join(" ")} ${this.search.join(" ")}`;
  }
}

function merge<T>(
  kept: readonly Kept<T>[],
  { values, lifetime }: Lasting<T>,
  most: number,
  now: number,
  same: (a: T, b: T) => boolean,
): Kept<T>[] {
  const merged = [...kept];
  for (const value of values) {
    const known = merged.find((each) => same(each.value, value));
    if (known !== undefined) known.expires = now + lifetime;
    else if (lifetime > 0 && merged.length < most) merged.push({ value, expires: now + lifetime });
  }
  return merged.filter(({ expires }) => expires > now);
}
