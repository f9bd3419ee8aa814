import { IpAddress, MacAddress, type Prefix } from "@tesserae/device/address";
import { type Arp, ArpTimeoutError } from "@tesserae/device/arp";
import type { Timer, Timers } from "@tesserae/device/clock";
import type { Ethernet } from "@tesserae/device/ethernet";
import { headroom, type Page } from "@tesserae/device/page";
import type { Random } from "@tesserae/device/random";
import { etherTypeArp, etherTypeIpv4 } from "../ethernet/wire.ts";
import { type WaitingOptions, WaitingPackets } from "../ip/waiting-packets.ts";
import type { NextHopSender } from "../ipv4/interface.ts";
import { TokenBucket } from "../ipv4/token-bucket.ts";
import { type Neighbour, NeighbourCache } from "./cache.ts";
import { AddressClaim, claimTiming } from "./probe.ts";
import { arp, arpReply, arpRequest, isArp } from "./wire.ts";

export interface ArpOptions extends WaitingOptions {
  readonly ethernet: Ethernet;
  readonly timers: Timers;
  readonly random: Random;
  /** Neighbours remembered, at least 8. Default 512. */
  readonly capacity?: number;
  /** Milliseconds for which an answer is believed without asking again. Default 30,000. */
  readonly reachableTime?: number;
  /** Told when another host uses an address of ours (RFC 5227 §2.4). */
  readonly onConflict?: (ip: IpAddress, mac: MacAddress) => void;
}

export class ArpStatistics {
  received = 0;
  malformed = 0;
  requestsSent = 0;
  repliesSent = 0;
  /** Requests for our address that were not answered, as they came too fast. */
  repliesSuppressed = 0;
  /** Answers that nobody asked for. */
  unsolicited = 0;
  /** Messages that would have replaced an address that we know: it is asked whether it still holds. */
  contradicted = 0;
  /** Messages of hosts that use an address of ours. */
  conflicts = 0;
  /** Packets dropped while waiting: no room, or no answer. */
  waitingDropped = 0;
  /** Questions that nobody answered. */
  failed = 0;
}

/** {@link Arp}, with what IPv4 and the stack need beside. */
export interface ArpService extends Arp, NextHopSender {
  readonly statistics: ArpStatistics;
  readonly cache: NeighbourCache;
  /** Drops packets that wait, fails questions and claims, and stops. */
  close(): void;
}

/** Questions sent to all before giving up, and to the neighbour alone before asking all. */
const broadcastAttempts = 3;
const unicastAttempts = 2;
/** RFC 1122 §2.3.2.1: at most one question a second for one address. */
const retransmitInterval = 1000;
/** After nobody answered: how long packets are refused at once. */
const failedTime = 1000;
const staleTime = 1_200_000;
const learnedTime = 60_000;
/** After an answer, contradictions are ignored for this long. */
const contradictionInterval = 5000;
const mostQueries = 64;
const mostOwned = 16;

/** ARP (RFC 826) with the conflict detection of RFC 5227. Takes over the EtherType 0x0806. */
export function createArp(options: ArpOptions): ArpService {
  return new HostArp(options);
}

interface Query {
  readonly ip: number;
  readonly resolve: (mac: MacAddress) => void;
  readonly reject: (error: ArpTimeoutError) => void;
}

/** An address of ours, or about to be. */
interface Owned {
  readonly ip: number;
  readonly claim: AddressClaim;
  readonly promise: Promise<boolean>;
  readonly settle: (ours: boolean) => void;
  /** Told when it is given up; `undefined`: it never is. */
  onLost: (() => void) | undefined;
  lastDefence: number;
}

class HostArp implements ArpService {
  readonly statistics = new ArpStatistics();
  readonly cache: NeighbourCache;
  readonly #ethernet: Ethernet;
  readonly #timers: Timers;
  readonly #random: Random;
  readonly #timer: Timer;
  readonly #waiting: WaitingPackets<number>;
  readonly #reachableTime: number;
  readonly #onConflict: ((ip: IpAddress, mac: MacAddress) => void) | undefined;
  readonly #replies: TokenBucket;
  readonly #owned: Owned[] = [];
  #queries: Query[] = [];
  #link: Prefix | undefined;
  #unreachable: (page: Page, offset: number, length: number) => void = () => undefined;
  /** The neighbour sent to last: most packets go where the one before went. */
  #last: Neighbour | undefined;
  #uses = 0;
  #closed = false;

  constructor(options: ArpOptions) {
    this.#ethernet = options.ethernet;
    this.#timers = options.timers;
    this.#random = options.random;
    this.cache = new NeighbourCache(options.capacity ?? 512);
    this.#waiting = new WaitingPackets<number>(options, (a, b) => a === b, this.statistics, {
      release: (page) => this.#ethernet.release(page),
      gaveUp: () => this.#arm(this.#timers.now()),
    });
    this.#reachableTime = options.reachableTime ?? 30_000;
    this.#onConflict = options.onConflict;
    this.#replies = new TokenBucket(options.timers, 200, 100);
    this.#timer = options.timers.timer(() => this.#run());
    options.ethernet.listen(etherTypeArp, (page, offset, length) => this.#receive(page.bytes, offset, length));
  }

  listenUnreachable(handler: (page: Page, offset: number, length: number) => void): void {
    this.#unreachable = handler;
  }

  configureLink(link: Prefix | undefined): void {
    this.#link = link;
  }

  lookup(ip: IpAddress): MacAddress | undefined {
    return ip.family === 4 ? this.cache.get(ip.w3)?.mac : undefined;
  }

  query(ip: IpAddress): Promise<MacAddress> {
    const known = this.lookup(ip);
    if (known !== undefined) return Promise.resolve(known);
    if (ip.family !== 4 || this.#closed || this.#queries.length >= mostQueries || !this.#ask(ip.w3)) {
      return Promise.reject(new ArpTimeoutError(ip));
    }
    return new Promise((resolve, reject) => this.#queries.push({ ip: ip.w3, resolve, reject }));
  }

  claim(
    ip: IpAddress,
    options: { readonly probe?: boolean; readonly onLost?: (() => void) | undefined } = {},
  ): Promise<boolean> {
    if (ip.family !== 4 || ip.isUnspecified) throw new RangeError(`ip ${ip.toString()} cannot be claimed with ARP`);
    const known = this.#owned.find((each) => each.ip === ip.w3);
    if (known !== undefined) {
      known.onLost = options.onLost;
      return known.promise;
    }
    if (this.#owned.length >= mostOwned) throw new RangeError(`more than ${mostOwned} addresses`);
    let settle: (ours: boolean) => void = () => undefined;
    const promise = new Promise<boolean>((resolve) => {
      settle = resolve;
    });
    if (this.#closed) {
      settle(false);
      return promise;
    }
    const claim = new AddressClaim(this.#timers.now(), this.#random, options.probe ?? true);
    const { onLost } = options;
    const owned: Owned = { ip: ip.w3, claim, promise, settle, onLost, lastDefence: -Infinity };
    this.#owned.push(owned);
    // Without probes the first step is due at once, and the address is ours when this call returns.
    if (claim.deadline <= this.#timers.now()) this.#step(owned);
    this.#arm(claim.deadline);
    return promise;
  }

  yield(ip: IpAddress): void {
    const index = this.#owned.findIndex((each) => each.ip === ip.w3);
    const [gone] = index < 0 ? [] : this.#owned.splice(index, 1);
    gone?.settle(false);
  }

  sendIpv4(nextHop: number, page: Page, offset: number, length: number): boolean {
    const last = this.#last;
    const neighbour = last !== undefined && last.ip === nextHop ? last : this.cache.get(nextHop);
    const mac = neighbour?.mac;
    if (neighbour === undefined || mac === undefined) return this.#wait(nextHop, page, offset, length);
    this.#last = neighbour;
    neighbour.used = ++this.#uses;
    if (neighbour.state !== "reachable" && neighbour.state !== "confirming") this.#confirm(neighbour);
    return this.#ethernet.send(mac, etherTypeIpv4, page, offset, length);
  }

  close(): void {
    this.#closed = true;
    this.#timer.cancel();
    this.#waiting.close();
    for (const query of this.#queries) query.reject(new ArpTimeoutError(IpAddress.v4(query.ip)));
    this.#queries = [];
    for (const owned of this.#owned) owned.settle(false);
    this.#owned.length = 0;
  }

  #arm(deadline: number): void {
    if (deadline < this.#timer.deadline) this.#timer.set(deadline);
  }

  #isOwn(ip: number): boolean {
    for (const owned of this.#owned) if (owned.ip === ip && !owned.claim.probing) return true;
    return false;
  }

  // Questions.

  #wait(ip: number, page: Page, offset: number, length: number): boolean {
    if (this.#closed || !this.#ask(ip)) {
      this.#waiting.giveUp(ip, page, offset, length);
      return false;
    }
    this.#waiting.add(ip, page, offset, length);
    return true;
  }

  /** Sees to it that a question for `ip` is open. False when there is no room for it, or it has just failed. */
  #ask(ip: number): boolean {
    const known = this.cache.get(ip);
    if (known !== undefined) return known.state !== "failed";
    const sender = this.#owned.find((each) => !each.claim.probing);
    if (sender === undefined) return false;
    const made = this.cache.create(ip, false, ++this.#uses, (victim) => this.#forget(victim));
    if (made === undefined) return false;
    this.#broadcast(made);
    return true;
  }

  #broadcast(neighbour: Neighbour): void {
    neighbour.attempts++;
    neighbour.deadline = this.#timers.now() + retransmitInterval;
    this.#arm(neighbour.deadline);
    this.#sendRequest(MacAddress.broadcast, neighbour.ip);
  }

  /** Asks a neighbour that we know whether it is still there, and goes on using it meanwhile. */
  #confirm(neighbour: Neighbour): void {
    neighbour.state = "confirming";
    neighbour.attempts = 0;
    this.#unicast(neighbour);
  }

  #unicast(neighbour: Neighbour): void {
    neighbour.attempts++;
    neighbour.deadline = this.#timers.now() + retransmitInterval;
    this.#arm(neighbour.deadline);
    this.#sendRequest(neighbour.mac ?? MacAddress.broadcast, neighbour.ip);
  }

  #sendRequest(to: MacAddress, ip: number): void {
    const sender = this.#owned.find((each) => !each.claim.probing);
    if (sender === undefined) return;
    this.statistics.requestsSent++;
    this.#send(arpRequest, to, sender.ip, MacAddress.zero, ip);
  }

  #send(operation: number, to: MacAddress, senderIp: number, targetMac: MacAddress, targetIp: number): void {
    const page = this.#ethernet.allocate();
    if (page === undefined) return;
    const { bytes } = page;
    const { field } = arp;
    field.hardwareType.set(bytes, headroom, 1);
    field.protocolType.set(bytes, headroom, etherTypeIpv4);
    field.hardwareSize.set(bytes, headroom, 6);
    field.protocolSize.set(bytes, headroom, 4);
    field.operation.set(bytes, headroom, operation);
    field.senderMac.set(bytes, headroom, this.#ethernet.mac);
    field.senderIp.setWord(bytes, headroom, senderIp);
    field.targetMac.set(bytes, headroom, targetMac);
    field.targetIp.setWord(bytes, headroom, targetIp);
    this.#ethernet.send(to, etherTypeArp, page, headroom, arp.size);
  }

  // Time.

  #run(): void {
    const now = this.#timers.now();
    for (const owned of [...this.#owned]) this.#step(owned);
    // Removing entries of a Map while walking it is safe; what is added is looked at too, and not yet due.
    for (const neighbour of this.cache.entries()) if (neighbour.deadline <= now) this.#late(neighbour);
    this.#waiting.report(this.#unreachable);
    // Who was told of it may have closed us, or have sent again in vain.
    if (this.#closed) return;
    let next = this.#waiting.hasGivenUp ? now : Infinity;
    for (const owned of this.#owned) next = Math.min(next, owned.claim.deadline);
    for (const neighbour of this.cache.entries()) next = Math.min(next, neighbour.deadline);
    this.#timer.set(next);
  }

  #late(neighbour: Neighbour): void {
    const now = this.#timers.now();
    switch (neighbour.state) {
      case "incomplete":
        if (neighbour.attempts < broadcastAttempts) {
          this.#broadcast(neighbour);
          return;
        }
        this.statistics.failed++;
        neighbour.state = "failed";
        neighbour.deadline = now + failedTime;
        this.#drop(neighbour.ip);
        return;
      case "confirming":
        if (neighbour.attempts < unicastAttempts) {
          this.#unicast(neighbour);
          return;
        }
        // Gone, or moved to another interface: now everybody is asked, and the first answer is taken.
        neighbour.mac = undefined;
        neighbour.state = "incomplete";
        neighbour.attempts = 0;
        this.#broadcast(neighbour);
        return;
      case "reachable":
        neighbour.state = "stale";
        neighbour.deadline = now + staleTime;
        return;
      case "stale":
      case "learned":
      case "failed":
        this.cache.remove(neighbour);
        this.#forget(neighbour);
    }
  }

  /** An entry has left the table. */
  #forget(neighbour: Neighbour): void {
    if (this.#last === neighbour) this.#last = undefined;
    this.#drop(neighbour.ip);
  }

  /** Gives up what waits for `ip`. */
  #drop(ip: number): void {
    this.#waiting.drop(ip);
    const queries = this.#queries.filter((each) => each.ip === ip);
    if (queries.length > 0) this.#queries = this.#queries.filter((each) => each.ip !== ip);
    for (const query of queries) query.reject(new ArpTimeoutError(IpAddress.v4(ip)));
  }

  #step(owned: Owned): void {
    switch (owned.claim.step(this.#timers.now())) {
      case "probe":
        // RFC 5227 §1.1: a probe has no sender address, so that it spoils nobody's cache.
        this.statistics.requestsSent++;
        this.#send(arpRequest, MacAddress.broadcast, 0, MacAddress.zero, owned.ip);
        return;
      case "own":
        this.#announce(owned.ip);
        owned.settle(true);
        return;
      case "announce": {
        this.#announce(owned.ip);
        return;
      }
      case "wait":
      case "done":
    }
  }

  #announce(ip: number): void {
    this.statistics.requestsSent++;
    this.#send(arpRequest, MacAddress.broadcast, ip, MacAddress.zero, ip);
  }

  // Answers.

  #receive(bytes: Uint8Array, offset: number, length: number): void {
    const statistics = this.statistics;
    statistics.received++;
    if (this.#closed) return;
    const field = arp.field;
    const operation = field.operation.get(bytes, offset);
    if (!isArp(bytes, offset, length) || (operation !== arpRequest && operation !== arpReply)) {
      statistics.malformed++;
      return;
    }
    // A bridge may bring back what we sent.
    if (field.senderMac.equals(bytes, offset, this.#ethernet.mac)) return;
    const sender = field.senderIp.word(bytes, offset);
    const target = field.targetIp.word(bytes, offset);
    if (this.#conflicts(bytes, offset, operation, sender, target)) return;
    const asksUs = operation === arpRequest && this.#isOwn(target);
    const answersUs =
      operation === arpReply && this.#isOwn(target) && field.targetMac.equals(bytes, offset, this.#ethernet.mac);
    if (sender !== 0) this.#learn(bytes, offset, sender, asksUs, answersUs);
    if (asksUs) this.#reply(bytes, offset, sender, target);
  }

  /** Whether the message is of a host that uses, or wants, an address of ours. */
  #conflicts(bytes: Uint8Array, offset: number, operation: number, sender: number, target: number): boolean {
    for (const owned of this.#owned) {
      const wants = owned.claim.probing && operation === arpRequest && sender === 0 && target === owned.ip;
      if (sender !== owned.ip && !wants) continue;
      this.statistics.conflicts++;
      if (owned.claim.probing) {
        // RFC 5227 §2.1.1: somebody has it, or wants it as we do.
        this.#owned.splice(this.#owned.indexOf(owned), 1);
        owned.settle(false);
        return true;
      }
      // RFC 5227 §2.4 (c): keep the address, and say so at most once in a while: else a forger could take it from us,
      // or two hosts shout at each other for ever.
      const now = this.#timers.now();
      if (now - owned.lastDefence >= claimTiming.defendInterval) {
        owned.lastDefence = now;
        this.#announce(owned.ip);
        this.#onConflict?.(IpAddress.v4(owned.ip), arp.field.senderMac.get(bytes, offset));
      } else if (owned.onLost !== undefined) {
        // §2.4 (b): defended a moment ago, and in vain.
        this.#owned.splice(this.#owned.indexOf(owned), 1);
        owned.onLost();
      }
      return true;
    }
    return false;
  }

  #learn(bytes: Uint8Array, offset: number, sender: number, asksUs: boolean, answersUs: boolean): void {
    const known = this.cache.get(sender);
    if (known === undefined) {
      if (answersUs) this.statistics.unsolicited++;
      if (!asksUs || this.#link?.contains(IpAddress.v4(sender)) !== true) return;
      const made = this.cache.create(sender, true, ++this.#uses, (victim) => this.#forget(victim));
      if (made === undefined) return;
      made.mac = arp.field.senderMac.get(bytes, offset);
      made.state = "learned";
      made.deadline = this.#timers.now() + learnedTime;
      this.#arm(made.deadline);
      return;
    }
    if (known.mac === undefined) {
      // We have asked. Whoever answers first, or asks us meanwhile, is taken.
      if (answersUs || asksUs) this.#resolve(known, arp.field.senderMac.get(bytes, offset));
      return;
    }
    if (arp.field.senderMac.equals(bytes, offset, known.mac)) {
      if (answersUs && known.state === "confirming") this.#resolve(known, known.mac);
      else if (answersUs) this.statistics.unsolicited++;
      return;
    }
    // Somebody says that the neighbour is elsewhere now. The one we know is asked first: if it is still there, the
    // message was a forgery.
    this.statistics.contradicted++;
    if (known.state === "confirming" || this.#timers.now() - known.answered < contradictionInterval) return;
    this.#confirm(known);
  }

  #resolve(neighbour: Neighbour, mac: MacAddress): void {
    const now = this.#timers.now();
    neighbour.mac = mac;
    neighbour.state = "reachable";
    neighbour.answered = now;
    neighbour.attempts = 0;
    // RFC 4861 §6.3.2 does so for IPv6: neighbours that were met together are not all asked again together.
    neighbour.deadline = now + this.#reachableTime * (0.5 + this.#random.uint32() / 0x1_0000_0000);
    this.#arm(neighbour.deadline);
    for (const { page, offset, length } of this.#waiting.take(neighbour.ip)) {
      this.#ethernet.send(mac, etherTypeIpv4, page, offset, length);
    }
    const queries = this.#queries.filter((each) => each.ip === neighbour.ip);
    if (queries.length > 0) this.#queries = this.#queries.filter((each) => each.ip !== neighbour.ip);
    for (const query of queries) query.resolve(mac);
  }

  #reply(bytes: Uint8Array, offset: number, sender: number, target: number): void {
    if (!this.#replies.take()) {
      this.statistics.repliesSuppressed++;
      return;
    }
    this.statistics.repliesSent++;
    const mac = arp.field.senderMac.get(bytes, offset);
    this.#send(arpReply, mac, target, mac, sender);
  }
}
