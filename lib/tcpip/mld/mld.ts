import { IpAddress } from "@tesserae/device/address";
import type { Timer, Timers } from "@tesserae/device/clock";
import { FlowError } from "@tesserae/device/flow";
import type { Random } from "@tesserae/device/random";
import { mldDone1, mldQuery, mldReport1, mldReport2 } from "../icmpv6/wire.ts";
import { allNodes, allRouters, isLinkLocal, scopeLink, scopeOf } from "../ipv6/scope.ts";
import { isExclude, mld1, mld2Query, mld2Record, mld2Report, responseTime, toExclude, toInclude } from "./wire.ts";

/** Sends MLD messages: from a link-local address, with a hop limit of 1 and a router alert (RFC 3810 §5). */
export interface MldLink {
  /** Completes the checksum of `message[0 … length)` and sends a copy. */
  sendAlert(destination: IpAddress, message: Uint8Array, length: number): void;
}

export class MldStatistics {
  queries = 0;
  reportsSent = 0;
  invalid = 0;
}

/** Groups joined at once by others than our own addresses, of which there are at most 16. */
const mostGroups = 48;
/** RFC 3810 §9. Milliseconds and counts. */
const robustness = 2;
const unsolicitedInterval = 1000;
/** How long a querier of version 1 is remembered (§9.12 with the standard intervals). */
const olderVersionTime = 260_000;
const allMldRouters = new IpAddress(6, 0xff020000, 0, 0, 0x16);
/** Groups in one report: it fits the smallest MTU. */
const mostRecords = 48;

class Group {
  readonly address: IpAddress;
  /** Who is in it: the addresses of ours that need it, the sockets. */
  members = 1;
  /** When the next report about it is due, or `Infinity`. */
  deadline = Infinity;
  /** Reports of a change that are still to be sent. */
  changesLeft = 0;

  constructor(address: IpAddress) {
    this.address = address;
  }
}

/** What a host tells routers and switches of the groups it wants to hear (RFC 3810 for any source, RFC 2710). */
export class Mld {
  readonly statistics = new MldStatistics();
  readonly #link: MldLink;
  readonly #timers: Timers;
  readonly #random: Random;
  readonly #timer: Timer;
  readonly #groups: Group[] = [];
  /** Left, and not told often enough yet. */
  #left: Group[] = [];
  /** When a general query is to be answered, or `Infinity`. */
  #answerAt = Infinity;
  /** Until when a querier of version 1 is about. */
  #olderUntil = -Infinity;
  readonly #message = new Uint8Array(8 + mostRecords * 20);

  constructor(link: MldLink, timers: Timers, random: Random) {
    this.#link = link;
    this.#timers = timers;
    this.#random = random;
    this.#timer = timers.timer(() => this.#run());
  }

  get groups(): readonly IpAddress[] {
    return this.#groups.map(({ address }) => address);
  }

  /** Whether packets to that group are for us. `ff02::1` always is. */
  has(group: IpAddress): boolean {
    for (const each of this.#groups) if (each.address.equals(group)) return true;
    return group.equals(allNodes);
  }

  /**
   * One more member.
   *
   * @param isOwn whether it is for an address of ours: there is always room for these
   * @throws FlowError `exhausted`.
   */
  join(group: IpAddress, isOwn = false): void {
    const known = this.#groups.find((each) => each.address.equals(group));
    if (known !== undefined) {
      known.members++;
      return;
    }
    if (!isOwn && this.#groups.length >= mostGroups)
      throw new FlowError("exhausted", `${mostGroups} groups are joined`);
    const made = new Group(group);
    this.#groups.push(made);
    this.#left = this.#left.filter((each) => !each.address.equals(group));
    if (!isReported(group)) return;
    made.changesLeft = robustness;
    made.deadline = this.#timers.now();
    this.#arm();
  }

  /** One member less. Harmless when there is none. */
  leave(group: IpAddress): void {
    const index = this.#groups.findIndex((each) => each.address.equals(group));
    const known = this.#groups[index];
    if (known === undefined || --known.members > 0) return;
    this.#groups.splice(index, 1);
    if (!isReported(group) || this.#left.length >= mostGroups) return;
    known.changesLeft = robustness;
    known.deadline = this.#timers.now();
    this.#left.push(known);
    this.#arm();
  }

  /** Tells all groups again: from an address that is there only now (RFC 3810 §5.2.13, RFC 3590). */
  announce(): void {
    const now = this.#timers.now();
    for (const each of this.#groups) {
      if (!isReported(each.address)) continue;
      each.changesLeft = Math.max(1, each.changesLeft);
      each.deadline = now;
    }
    this.#arm();
  }

  /** Takes an MLD message whose checksum is right. */
  receive(
    type: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
    source: IpAddress,
    hopLimit: number,
    routerAlert: boolean,
  ): void {
    // RFC 3810 §6.2: a query is of a router on the link. What other hosts report is for routers.
    if (type !== mldQuery) return;
    if (length < mld1.size || !isLinkLocal(source) || hopLimit !== 1 || !routerAlert) {
      this.statistics.invalid++;
      return;
    }
    const now = this.#timers.now();
    const group = mld1.field.group.get(bytes, offset);
    const code = mld1.field.maximumDelay.get(bytes, offset);
    this.statistics.queries++;
    const isOlder = length < mld1.size + mld2Query.size;
    if (isOlder) this.#olderUntil = now + olderVersionTime;
    // The bound keeps a forger from putting reports off for hours.
    const delay = Math.min(isOlder ? code : responseTime(code), 60_000);
    const at = now + (delay * this.#random.uint32()) / 0x1_0000_0000;
    if (group.isUnspecified) this.#answerAt = Math.min(this.#answerAt, at);
    else {
      const known = this.#groups.find((each) => each.address.equals(group));
      if (known !== undefined && isReported(group)) known.deadline = Math.min(known.deadline, at);
    }
    this.#arm();
  }

  close(): void {
    this.#groups.length = 0;
    this.#left = [];
    this.#timer.cancel();
  }

  #arm(): void {
    let next = this.#answerAt;
    for (const each of this.#groups) next = Math.min(next, each.deadline);
    for (const each of this.#left) next = Math.min(next, each.deadline);
    this.#timer.set(next);
  }

  #run(): void {
    const now = this.#timers.now();
    if (this.#answerAt <= now) {
      this.#answerAt = Infinity;
      this.#report(
        this.#groups.filter((each) => isReported(each.address)),
        isExclude,
      );
    }
    const due = this.#groups.filter((each) => each.deadline <= now);
    this.#report(
      due.filter((each) => each.changesLeft > 0),
      toExclude,
    );
    this.#report(
      due.filter((each) => each.changesLeft === 0),
      isExclude,
    );
    const left = this.#left.filter((each) => each.deadline <= now);
    this.#report(left, toInclude);
    for (const each of [...due, ...left]) {
      each.changesLeft = Math.max(0, each.changesLeft - 1);
      each.deadline = each.changesLeft > 0 ? now + this.#between(unsolicitedInterval) : Infinity;
    }
    this.#left = this.#left.filter((each) => each.changesLeft > 0);
    this.#arm();
  }

  #between(most: number): number {
    return (most * this.#random.uint32()) / 0x1_0000_0000;
  }

  #report(groups: readonly Group[], record: number): void {
    if (this.#timers.now() < this.#olderUntil) {
      for (const { address } of groups) this.#reportOlder(address, record === toInclude);
      return;
    }
    const message = this.#message;
    for (let from = 0; from < groups.length; from += mostRecords) {
      const some = groups.slice(from, from + mostRecords);
      message.fill(0);
      message[0] = mldReport2;
      mld2Report.field.records.set(message, 0, some.length);
      for (const [index, { address }] of some.entries()) {
        const at = mld2Report.size + index * mld2Record.size;
        mld2Record.field.type.set(message, at, record);
        mld2Record.field.group.set(message, at, address);
      }
      this.statistics.reportsSent++;
      this.#link.sendAlert(allMldRouters, message, mld2Report.size + some.length * mld2Record.size);
    }
  }

  /** RFC 3810 §8.2.1: to a querier of version 1 in its own words. */
  #reportOlder(group: IpAddress, isDone: boolean): void {
    const message = this.#message;
    message.fill(0, 0, mld1.size);
    message[0] = isDone ? mldDone1 : mldReport1;
    mld1.field.group.set(message, 0, group);
    this.statistics.reportsSent++;
    this.#link.sendAlert(isDone ? allRouters : group, message, mld1.size);
  }
}

/** RFC 3810 §6: nobody is told of `ff02::1`, nor of groups that do not leave the host. */
function isReported(group: IpAddress): boolean {
  return scopeOf(group) >= scopeLink && !group.equals(allNodes);
}
