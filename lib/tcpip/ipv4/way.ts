/** How a packet leaves: the source address, the interface and the next hop (RFC 1122 §3.3.1, §3.3.4.3). */

import type { IpAddress } from "@tesserae/device/address";
import type { Ipv4Interface } from "./interface.ts";
import type { Interfaces } from "./interfaces.ts";

/** To whom a packet goes on its first link. */
export type Cast = "local" | "unicast" | "broadcast" | "multicast";

/**
 * The way chosen for one packet: one object, written over by the next choice. The last choice is kept: a sender asks for
 * the source, the MTU and the device before it sends, and asks again for the next packet to the same destination.
 */
export class Way {
  cast: Cast = "unicast";
  /** The source address as `IpAddress.w3`; 0 before there is an address. */
  source = 0;
  /** With `unicast`: the neighbour to hand it to. */
  nextHop = 0;
  /** Where it leaves; with `local`, the interface whose limits count. */
  interface: Ipv4Interface | undefined = undefined;
  /** What the last choice that succeeded was made for, and from. */
  #target = 0;
  #wanted: IpAddress | undefined = undefined;
  #index = 0;
  #interfaces: Interfaces | undefined = undefined;
  #generation = -1;

  /**
   * Chooses the way to `destination`.
   *
   * @param wanted the source address that the sender insists on; `0.0.0.0` or `undefined`: any
   * @param index the interface that the sender insists on; 0: any
   * @returns false when there is none.
   */
  choose(interfaces: Interfaces, destination: IpAddress, wanted: IpAddress | undefined, index: number): boolean {
    const target = destination.w3;
    if (destination.family !== 4 || target === 0) return false;
    if (
      target === this.#target &&
      wanted === this.#wanted &&
      index === this.#index &&
      interfaces.generation === this.#generation &&
      interfaces === this.#interfaces
    ) {
      return true;
    }
    this.#target = 0;
    if (!this.#find(interfaces, target, wanted, index)) return false;
    this.#target = target;
    this.#wanted = wanted;
    this.#index = index;
    this.#interfaces = interfaces;
    this.#generation = interfaces.generation;
    return true;
  }

  #find(interfaces: Interfaces, target: number, wanted: IpAddress | undefined, index: number): boolean {
    let source = 0;
    let via: Ipv4Interface | undefined;
    if (index !== 0) {
      via = interfaces.get(index);
      if (via === undefined) return false;
    }
    let owner: Ipv4Interface | undefined;
    if (wanted !== undefined && wanted.w3 !== 0) {
      if (wanted.family !== 4) return false;
      source = wanted.w3;
      owner = interfaces.owner(source);
      if (owner === undefined && source >>> 24 !== 127) return false;
    }
    if (interfaces.isLocal(target)) {
      this.cast = "local";
      this.source = source === 0 ? target : source;
      this.interface = interfaces.owner(target) ?? interfaces.preferred();
      return this.interface !== undefined;
    }
    // RFC 1122 §3.2.1.3 (g): loopback addresses never leave the host.
    if (source >>> 24 === 127) return false;
    if (owner !== undefined && !interfaces.forwarding) {
      if (via !== undefined && via !== owner) return false;
      via = owner;
    }
    if (target === -1 || target >>> 28 === 14) return this.#toMany(interfaces, target, source, via ?? owner, wanted);
    const broadcast = interfaces.broadcastOf(target);
    if (broadcast !== undefined && (via === undefined || via === broadcast)) {
      this.cast = "broadcast";
      this.interface = broadcast;
      this.source = source === 0 ? broadcast.own : source;
      return true;
    }
    const place = interfaces.routes.find(target, via === undefined ? 0 : via.index);
    if (place < 0) return false;
    const out = interfaces.get(interfaces.routes.interfaceAt(place));
    if (out === undefined) return false;
    this.cast = "unicast";
    this.interface = out;
    this.nextHop = interfaces.routes.nextHopAt(place, target);
    this.source = source === 0 ? out.own : source;
    return true;
  }

  #toMany(
    interfaces: Interfaces,
    target: number,
    source: number,
    via: Ipv4Interface | undefined,
    wanted: IpAddress | undefined,
  ): boolean {
    let out = via;
    if (out === undefined && target !== -1) {
      const place = interfaces.routes.find(target);
      if (place >= 0) out = interfaces.get(interfaces.routes.interfaceAt(place));
    }
    out ??= interfaces.preferred();
    if (out === undefined) return false;
    // DHCP broadcasts before there is an address (RFC 2131 §4.1), and IGMP reports may (RFC 3376 §4.2.13).
    const nameless = wanted !== undefined && wanted.w3 === 0;
    if (target !== -1 && out.own === 0 && !nameless) return false;
    this.cast = target === -1 ? "broadcast" : "multicast";
    this.interface = out;
    this.source = source !== 0 ? source : nameless ? 0 : out.own;
    return true;
  }
}
