import { IpAddress, type MacAddress, Prefix } from "@tesserae/device/address";
import type { Timer, Timers } from "@tesserae/device/clock";
import type { Random } from "@tesserae/device/random";
import {
  ndNeighbourAdvertisement,
  ndNeighbourSolicitation,
  ndRedirect,
  ndRouterAdvertisement,
  ndRouterSolicitation,
} from "../icmpv6/wire.ts";
import { TokenBucket } from "../ipv4/token-bucket.ts";
import { allNodes, allRouters, isLinkLocal, solicitedNode } from "../ipv6/scope.ts";
import { leastMtu } from "../ipv6/wire.ts";
import type { AddressBook } from "./address-book.ts";
import type { Neighbours } from "./neighbours.ts";
import { mostRedirect, writeRedirect } from "./redirect-message.ts";
import { type RouterAdvertisementOptions, writeRouterAdvertisement } from "./router-advertisement.ts";
import { type AdvertiserTimes, RouterAdvertiser } from "./router-advertiser.ts";
import type { InterfaceRoutes } from "./routes.ts";
import type { AddressConfiguration } from "./slaac.ts";
import { Told } from "./told.ts";
import {
  type NdpOptions,
  neighbourAdvertisement,
  neighbourSolicitation,
  network,
  optionSourceMac,
  optionTargetMac,
  preferenceOf,
  readOptions,
  redirect,
  routerAdvertisement,
  routerSolicitation,
  writeMacOption,
  writeNonceOption,
} from "./wire.ts";

/** Sends ICMPv6 messages on the link, with a hop limit of 255. */
export interface NdpLink {
  readonly mac: MacAddress;
  /** The MTU of the device, bytes. */
  readonly deviceMtu: number;
  /**
   * Completes the checksum of `message[0 … length)` and sends a copy.
   *
   * @param mac where to; default: where the destination is, asked for when need be
   */
  send(
    source: IpAddress,
    destination: IpAddress,
    mac: MacAddress | undefined,
    message: Uint8Array,
    length: number,
  ): void;
  /** What routers told of the link: bytes, and the hop limit of packets that do not say. */
  adjust(mtu: number, hopLimit: number): void;
}

export interface NdpNeeds {
  readonly link: NdpLink;
  readonly book: AddressBook;
  readonly neighbours: Neighbours;
  readonly routes: InterfaceRoutes;
  readonly timers: Timers;
  readonly random: Random;
  /** Whether to believe redirects that pass the checks (RFC 4861 §8.1). */
  readonly redirects: boolean;
}

/** What a router advertises on a link, and how often. */
export type AdvertisingOptions = RouterAdvertisementOptions & AdvertiserTimes;

export class NdpStatistics {
  received = 0;
  /** Messages that fail the checks of RFC 4861 §6.1, §7.1 or §8.1. */
  invalid = 0;
  solicitationsSent = 0;
  advertisementsSent = 0;
  /** Solicitations that were not answered, as they came too fast. */
  suppressed = 0;
  routerSolicitationsSent = 0;
  routerAdvertisements = 0;
  /** As a router. */
  routerSolicitations = 0;
  routerAdvertisementsSent = 0;
  redirects = 0;
  redirectsIgnored = 0;
  /** As a router. */
  redirectsSent = 0;
  /** Messages of hosts that use an address of ours. */
  conflicts = 0;
}

/** RFC 4861 §10. Milliseconds and counts. */
const mostRouterSolicitations = 3;
const routerSolicitationInterval = 4000;
const mostRouterSolicitationDelay = 1000;
/** A hop limit below this would cut us off from the world: whoever says so is mistaken or hostile (RFC 3756 §4.2.7). */
const leastHopLimit = 32;

/** Neighbour Discovery on one interface of a host or router (RFC 4861, RFC 4862). */
export class Ndp {
  readonly statistics = new NdpStatistics();
  /** Name servers and search list of the routers (RFC 8106). */
  readonly told: Told;
  /** Whether packets are passed on: what we tell of ourselves. */
  isRouter = false;
  readonly #link: NdpLink;
  readonly #book: AddressBook;
  readonly #neighbours: Neighbours;
  readonly #routes: InterfaceRoutes;
  readonly #timers: Timers;
  readonly #random: Random;
  readonly #redirects: boolean;
  readonly #answers: TokenBucket;
  readonly #timer: Timer;
  readonly #message = new Uint8Array(64);
  #redirectMessage: Uint8Array | undefined;
  /** With stateless autoconfiguration. */
  #configuration: AddressConfiguration | undefined;
  #advertiser: RouterAdvertiser | undefined;
  #advertising: AdvertisingOptions = {};
  #solicitationsLeft = 0;
  #solicitAt = Infinity;

  constructor(needs: NdpNeeds) {
    this.#link = needs.link;
    this.#book = needs.book;
    this.#neighbours = needs.neighbours;
    this.#routes = needs.routes;
    this.#timers = needs.timers;
    this.#random = needs.random;
    this.#redirects = needs.redirects;
    this.#answers = new TokenBucket(needs.timers, 200, 100);
    this.told = new Told();
    this.#timer = needs.timers.timer(() => this.#run());
  }

  /** Looks for routers, and does what they tell from now on. */
  discover(configuration: AddressConfiguration): void {
    this.#configuration = configuration;
    this.#solicitationsLeft = mostRouterSolicitations;
    this.#solicitAt = this.#timers.now() + (mostRouterSolicitationDelay * this.#random.uint32()) / 0x1_0000_0000;
    this.#arm();
  }

  /**
   * Tells hosts on the link that we are a router, and what else the options say, until {@link stopAdvertising}.
   *
   * @throws RangeError when an option is out of range, or what is to be said does not fit a message.
   */
  advertise(options: AdvertisingOptions): void {
    // So that it is heard of here, and not from a timer.
    this.#writeAdvertisement(options, false);
    this.#advertiser?.stop();
    this.#advertising = options;
    this.#advertiser = new RouterAdvertiser(options, this.#timers, this.#random, () => this.#sendAdvertisement(false));
    this.#advertiser.start();
  }

  /** Tells the hosts that we are no router any more (RFC 4861 §6.2.5). Harmless when we were none. */
  stopAdvertising(): void {
    if (this.#advertiser === undefined) return;
    this.#advertiser.stop();
    this.#advertiser = undefined;
    this.#sendAdvertisement(true);
  }

  /**
   * Tells `host`, a neighbour, that its packet `bytes[header … header + total)` had better gone to `target` at once
   * (RFC 4861 §8.2).
   *
   * @returns false when there is no address to say so from.
   */
  redirect(
    host: IpAddress,
    target: IpAddress,
    destination: IpAddress,
    bytes: Uint8Array,
    header: number,
    total: number,
  ): boolean {
    const own = this.#linkLocal();
    if (own === undefined) return false;
    const message = (this.#redirectMessage ??= new Uint8Array(mostRedirect));
    const mac = this.#neighbours.lookup(target);
    const length = writeRedirect(message, target, destination, mac, bytes, header, total);
    this.statistics.redirectsSent++;
    this.#link.send(own, host, undefined, message, length);
    return true;
  }

  close(): void {
    this.stopAdvertising();
    this.#configuration = undefined;
    this.#timer.cancel();
  }

  /** Takes an ICMPv6 message of type 133 to 137 whose checksum is right. */
  receive(
    type: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
    source: IpAddress,
    destination: IpAddress,
    hopLimit: number,
  ): void {
    this.statistics.received++;
    // RFC 4861 §6.1, §7.1, §8.1: no router has touched it.
    if (hopLimit !== 255 || bytes[offset + 1] !== 0 || !this.#take(type, bytes, offset, length, source, destination)) {
      this.statistics.invalid++;
    }
  }

  /** Asks for a neighbour. False when there is no address to ask from. */
  solicit(source: IpAddress, target: IpAddress, mac: MacAddress | undefined): void {
    const end = this.#writeSolicitation(target);
    this.statistics.solicitationsSent++;
    const to = mac === undefined ? solicitedNode(target) : target;
    this.#link.send(
      source,
      to,
      mac,
      this.#message,
      writeMacOption(this.#message, end, optionSourceMac, this.#link.mac),
    );
  }

  /** Asks whether anybody has an address that is to be ours (RFC 4862 §5.4.2, RFC 7527 §4.1). */
  probe(target: IpAddress, nonce: number): void {
    const end = this.#writeSolicitation(target);
    this.statistics.solicitationsSent++;
    const length = writeNonceOption(this.#message, end, nonce);
    this.#link.send(IpAddress.any6, solicitedNode(target), undefined, this.#message, length);
  }

  /** Tells the routers of an address of ours before they have to ask (RFC 9131 §6.1). */
  announce(address: IpAddress): void {
    if (!isLinkLocal(address)) this.#advertise(address, address, allRouters, undefined, false, false);
  }

  #take(
    type: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
    source: IpAddress,
    destination: IpAddress,
  ): boolean {
    const size = sizeOf(type);
    if (length < size || size === 0) return false;
    const options = readOptions(bytes, offset + size, offset + length);
    if (options === undefined) return false;
    switch (type) {
      case ndNeighbourSolicitation:
        return this.#solicited(bytes, offset, source, destination, options);
      case ndNeighbourAdvertisement:
        return this.#advertised(bytes, offset, destination, options);
      case ndRouterAdvertisement:
        return this.#routerAdvertised(bytes, offset, source, options);
      case ndRedirect:
        return this.#redirected(bytes, offset, source, options);
      default:
        return this.#routersSolicited(source, options);
    }
  }

  /** RFC 4861 §6.1.1, §6.2.6. */
  #routersSolicited(source: IpAddress, { sourceMac }: NdpOptions): boolean {
    if (source.isUnspecified && sourceMac !== undefined) return false;
    if (!this.isRouter) return true;
    this.statistics.routerSolicitations++;
    if (sourceMac !== undefined && this.#isOnLink(source)) this.#neighbours.learn(source, sourceMac, false);
    this.#advertiser?.solicited();
    return true;
  }

  /** RFC 4861 §7.1.1, §7.2.3, §7.2.4; RFC 4862 §5.4.3. */
  #solicited(
    bytes: Uint8Array,
    offset: number,
    source: IpAddress,
    destination: IpAddress,
    { sourceMac, nonce }: NdpOptions,
  ): boolean {
    const target = neighbourSolicitation.field.target.get(bytes, offset);
    if (target.isMulticast) return false;
    if (source.isUnspecified && (sourceMac !== undefined || !destination.equals(solicitedNode(target)))) return false;
    const entry = this.#book.get(target);
    if (entry === undefined) return true;
    if (entry.isTentative) {
      if (source.isUnspecified) this.#book.conflict(entry, nonce);
      return true;
    }
    if (!this.#answers.take()) {
      this.statistics.suppressed++;
      return true;
    }
    if (source.isUnspecified) {
      this.#advertise(target, target, allNodes, undefined, false, true);
      return true;
    }
    if (sourceMac !== undefined && this.#isOnLink(source)) this.#neighbours.learn(source, sourceMac);
    this.#advertise(target, target, source, sourceMac, true, true);
    return true;
  }

  /** RFC 4861 §7.1.2, §7.2.5; RFC 4862 §5.4.4. */
  #advertised(bytes: Uint8Array, offset: number, destination: IpAddress, { targetMac }: NdpOptions): boolean {
    const field = neighbourAdvertisement.field;
    const target = field.target.get(bytes, offset);
    const isSolicited = field.solicited.get(bytes, offset);
    if (target.isMulticast || (isSolicited && destination.isMulticast)) return false;
    const entry = this.#book.get(target);
    if (entry !== undefined) {
      this.statistics.conflicts++;
      this.#book.conflict(entry, -1);
      return true;
    }
    const isRouter = field.router.get(bytes, offset);
    this.#neighbours.advertised(target, targetMac, isRouter, isSolicited, field.override.get(bytes, offset));
    return true;
  }

  /** RFC 4861 §6.1.2, §6.3.4. */
  #routerAdvertised(bytes: Uint8Array, offset: number, source: IpAddress, options: NdpOptions): boolean {
    if (!isLinkLocal(source)) return false;
    this.statistics.routerAdvertisements++;
    if (this.#configuration === undefined) return true;
    const field = routerAdvertisement.field;
    const now = this.#timers.now();
    const lifetime = field.lifetime.get(bytes, offset) * 1000;
    this.#solicitAt = Infinity;
    if (options.sourceMac !== undefined) this.#neighbours.learn(source, options.sourceMac, true);
    this.#routes.mark(source, false);
    const preference = preferenceOf(field.preference.get(bytes, offset));
    this.#routes.set("router", everywhere, source, now + lifetime, preference, now);
    this.#adjust(bytes, offset, options.mtu);
    for (const each of options.prefixes) {
      // RFC 4861 §6.3.4: the link-local prefix is there for ever, and so is not told.
      if (isLinkLocal(each.prefix.address)) continue;
      if (each.onLink) this.#routes.set("prefix", each.prefix, undefined, now + each.validLifetime, 0, now);
      this.#configuration.told(each, now);
    }
    for (const { prefix, preference: own, lifetime: until } of options.routes) {
      // RFC 4191 §3.1: a default route here overrides the one in the header.
      if (prefix.length === 0) this.#routes.set("router", everywhere, source, now + until, own, now);
      else this.#routes.set("route", prefix, source, now + until, own, now);
    }
    this.told.note(options, now);
    this.#arm();
    return true;
  }

  #adjust(bytes: Uint8Array, offset: number, mtu: number): void {
    const field = routerAdvertisement.field;
    const hopLimit = field.hopLimit.get(bytes, offset);
    const reachable = field.reachableTime.get(bytes, offset);
    const retransmit = field.retransmitTimer.get(bytes, offset);
    // RFC 4861 §6.2.1: a reachable time is at most an hour. Less than a second, of either, would drown the link.
    if (reachable >= 1000 && reachable <= 3_600_000) this.#neighbours.reachableTime = reachable;
    if (retransmit >= 100 && retransmit <= 60_000) this.#neighbours.retransmitTimer = retransmit;
    const isMtu = mtu >= leastMtu && mtu <= this.#link.deviceMtu;
    this.#link.adjust(isMtu ? mtu : 0, hopLimit >= leastHopLimit ? hopLimit : 0);
  }

  /** RFC 4861 §8.1, §8.3. */
  #redirected(bytes: Uint8Array, offset: number, source: IpAddress, { targetMac }: NdpOptions): boolean {
    const target = redirect.field.target.get(bytes, offset);
    const destination = redirect.field.destination.get(bytes, offset);
    const isNeighbour = target.equals(destination);
    if (!isLinkLocal(source) || destination.isMulticast || target.isMulticast) return false;
    if (!isNeighbour && !isLinkLocal(target)) return false;
    // Only the router that we use for the destination may tell of a better one.
    const current = this.#routes.find(destination)?.gateway;
    if (!this.#redirects || current?.equals(source) !== true || this.#book.get(target) !== undefined) {
      this.statistics.redirectsIgnored++;
      return true;
    }
    this.statistics.redirects++;
    if (targetMac !== undefined) this.#neighbours.learn(target, targetMac, isNeighbour ? undefined : true);
    const now = this.#timers.now();
    const only = new Prefix(destination, 128);
    this.#routes.set("redirect", only, isNeighbour ? undefined : target, now + redirectLifetime, 0, now);
    this.#arm();
    return true;
  }

  #linkLocal(): IpAddress | undefined {
    return this.#book.assigned.find((each) => isLinkLocal(each.address))?.address;
  }

  #isOnLink(address: IpAddress): boolean {
    return isLinkLocal(address) || this.#routes.isOnLink(address);
  }

  #writeSolicitation(target: IpAddress): number {
    const message = this.#message;
    message.fill(0);
    message[0] = ndNeighbourSolicitation;
    neighbourSolicitation.field.target.set(message, 0, target);
    return neighbourSolicitation.size;
  }

  #advertise(
    target: IpAddress,
    source: IpAddress,
    destination: IpAddress,
    mac: MacAddress | undefined,
    isSolicited: boolean,
    overrides: boolean,
  ): void {
    const message = this.#message;
    message.fill(0);
    message[0] = ndNeighbourAdvertisement;
    const field = neighbourAdvertisement.field;
    field.router.set(message, 0, this.isRouter);
    field.solicited.set(message, 0, isSolicited);
    field.override.set(message, 0, overrides);
    field.target.set(message, 0, target);
    const length = writeMacOption(message, neighbourAdvertisement.size, optionTargetMac, this.#link.mac);
    this.statistics.advertisementsSent++;
    this.#link.send(source, destination, mac, message, length);
  }

  #sendAdvertisement(isLast: boolean): boolean {
    const own = this.#linkLocal();
    if (own === undefined) return false;
    const message = this.#writeAdvertisement(this.#advertising, isLast);
    this.statistics.routerAdvertisementsSent++;
    this.#link.send(own, allNodes, undefined, message, message.length);
    return true;
  }

  #writeAdvertisement(options: AdvertisingOptions, isLast: boolean): Uint8Array {
    const own = this.#book.assigned
      .filter((each) => !isLinkLocal(each.address) && !each.temporary)
      .slice(0, 8)
      .map((each) => new Prefix(each.address, each.prefixLength));
    return writeRouterAdvertisement(options, own, this.#link.mac, isLast);
  }

  // Time.

  #run(): void {
    const now = this.#timers.now();
    if (this.#solicitAt <= now) this.#solicitRouters(now);
    this.#configuration?.regenerate(now);
    this.#arm();
  }

  #solicitRouters(now: number): void {
    const own = this.#linkLocal();
    // Without an address yet it would be asked from the unspecified one: it waits for the address instead.
    if (own === undefined) {
      this.#solicitAt = now + mostRouterSolicitationDelay;
      if (!this.#book.entries.some((each) => isLinkLocal(each.address))) this.#solicitAt = Infinity;
      return;
    }
    this.#solicitationsLeft--;
    this.#solicitAt = this.#solicitationsLeft > 0 ? now + routerSolicitationInterval : Infinity;
    const message = this.#message;
    message.fill(0);
    message[0] = ndRouterSolicitation;
    const length = writeMacOption(message, routerSolicitation.size, optionSourceMac, this.#link.mac);
    this.statistics.routerSolicitationsSent++;
    this.#link.send(own, allRouters, undefined, message, length);
  }

  #arm(): void {
    const now = this.#timers.now();
    this.#timer.set(
      Math.min(
        this.#solicitAt,
        this.#routes.expire(now),
        this.told.expire(now),
        this.#configuration?.nextRegeneration(now) ?? Infinity,
      ),
    );
  }
}

const everywhere = new Prefix(network(IpAddress.any6, 0), 0);
/** Not in the RFC, which keeps a redirect for as long as the destination is used. */
const redirectLifetime = 600_000;

/** The fixed part of a message of that type; 0 for other types. */
function sizeOf(type: number): number {
  switch (type) {
    case ndRouterSolicitation:
      return routerSolicitation.size;
    case ndRouterAdvertisement:
      return routerAdvertisement.size;
    case ndNeighbourSolicitation:
      return neighbourSolicitation.size;
    case ndNeighbourAdvertisement:
      return neighbourAdvertisement.size;
    case ndRedirect:
      return redirect.size;
    default:
      return 0;
  }
}
