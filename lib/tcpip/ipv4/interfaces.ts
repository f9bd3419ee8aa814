import type { IpAddress } from "@tesserae/device/address";
import type { Ipv4Interface } from "./interface.ts";
import { RouteTable } from "./route.ts";

/** The interfaces of a host, whose addresses they have, and the routes out of them. */
export class Interfaces {
  readonly all: Ipv4Interface[] = [];
  readonly routes = new RouteTable();
  /** Our addresses in the order of the interfaces. */
  addresses: readonly IpAddress[] = [];
  /**
   * Whether packets pass from one interface to another. A host is strong (RFC 1122 §3.3.4.2): an address belongs to its
   * interface, so what comes for it elsewhere is dropped and what is sent from it leaves there. Then what is behind one
   * interface cannot reach, by way of another, what listens on the first. A router has to be weak (RFC 1812 §5.2.3).
   */
  forwarding = false;
  /** Another one whenever addresses, routes or the model may be others: what was found out before is out of date then. */
  generation = 0;

  /** Says that something is not as it was. */
  changed(): void {
    this.generation++;
  }

  get(index: number): Ipv4Interface | undefined {
    return this.all[index - 1];
  }

  /** The interface that has the address, given as `IpAddress.w3`. */
  owner(word: number): Ipv4Interface | undefined {
    if (word === 0) return undefined;
    const all = this.all;
    for (let place = 0; place < all.length; place++) {
      const each = all[place];
      if (each !== undefined && each.own === word) return each;
    }
    return undefined;
  }

  /** Whether the address is ours, loopback included. */
  isLocal(word: number): boolean {
    return word >>> 24 === 127 || this.owner(word) !== undefined;
  }

  /** The interface whose directed broadcast address it is. */
  broadcastOf(word: number): Ipv4Interface | undefined {
    if (word === 0) return undefined;
    for (const each of this.all) if (each.broadcast === word) return each;
    return undefined;
  }

  /** The first interface with an address, else the first. */
  preferred(): Ipv4Interface | undefined {
    for (const each of this.all) if (each.own !== 0) return each;
    return this.all[0];
  }
}
