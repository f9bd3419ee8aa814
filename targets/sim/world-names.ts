import { IpAddress } from "@tesserae/device/address";
import { ResolveError, type Resolver } from "@tesserae/device/resolver";

/** A host as far as names are concerned. */
export interface NamedHost {
  readonly name: string;
  readonly addresses: readonly IpAddress[];
}

/** Which of a host's addresses to try first. */
export type Order = (addresses: readonly IpAddress[]) => readonly IpAddress[];

/** Resolves the names of a world's hosts, now and later. */
export class WorldNames implements Resolver {
  readonly #find: (name: string) => NamedHost | undefined;
  readonly #order: Order;

  constructor(find: (name: string) => NamedHost | undefined, order: Order = (addresses) => addresses) {
    this.#find = find;
    this.#order = order;
  }

  /** The same names for one host, which has an order of its own (RFC 6724). */
  ordered(order: Order): WorldNames {
    return new WorldNames(this.#find, order);
  }

  resolve(name: string, options: { readonly signal?: AbortSignal } = {}): Promise<readonly IpAddress[]> {
    const address = IpAddress.tryParse(name);
    if (options.signal?.aborted === true) {
      return Promise.reject(new ResolveError("aborted", name, `resolving "${name}" was aborted`));
    }
    if (address !== undefined) return Promise.resolve([address]);
    const addresses = name === "localhost" ? [IpAddress.loopback4] : this.#find(name)?.addresses;
    if (addresses === undefined || addresses.length === 0) {
      const why = addresses === undefined ? "no host of the simulation has that name" : "it has no address yet";
      return Promise.reject(new ResolveError("not-found", name, `"${name}" does not resolve: ${why}`));
    }
    return Promise.resolve(this.#order(addresses));
  }
}
