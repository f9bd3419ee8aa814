/** What a host tells routers and switches of the groups it wants to hear (RFC 3376 for any source, RFC 2236, RFC 1112). */

import type { Timer, Timers } from "@tesserae/device/clock";
import { type IpPacket, protocolIgmp } from "@tesserae/device/ip";
import type { Random } from "@tesserae/device/random";
import { checksum } from "@tesserae/wire/checksum";
import { allSystems } from "../ipv4/group-table.ts";
import type { Ipv4Interface } from "../ipv4/interface.ts";
import type { Ipv4 } from "../ipv4/ipv4.ts";
import {
  igmp,
  igmpLeave2,
  igmpQuery,
  igmpQuery3,
  igmpRecord,
  igmpReport,
  igmpReport1,
  igmpReport2,
  igmpReport3,
  isExclude,
  responseTime,
  toExclude,
  toInclude,
} from "./wire.ts";

export interface IgmpOptions {
  readonly ip: Ipv4;
  readonly timers: Timers;
  readonly random: Random;
}

export class IgmpStatistics {
  queries = 0;
  reportsSent = 0;
  leavesSent = 0;
  /** Too short, of a wrong sum, or from beyond the link. */
  malformed = 0;
}

export interface Igmp {
  readonly statistics: IgmpStatistics;
  /** Tells nobody anything any more. */
  close(): void;
}

/** Takes over protocol 2 of `ip`, and its groups. */
export function createIgmp(options: IgmpOptions): Igmp {
  return new HostIgmp(options);
}

/** RFC 3376 §8. Milliseconds and counts. */
const robustness = 2;
const unsolicitedInterval = 1000;
/** RFC 2236 §8.10. */
const olderUnsolicitedInterval = 10_000;
/** How long a querier of an older version is remembered (§8.12 with the usual intervals). */
const olderVersionTime = 260_000;
/** RFC 1112: queries of version 1 do not say how long. */
const version1Response = 10_000;
/** The bound keeps a forger from putting reports off for hours. */
const longestResponse = 60_000;
const allRouters = 0xe0000002 | 0;
const allIgmpRouters = 0xe0000016 | 0;
/** As many as an interface can be in, those just left among them. */
const mostRecords = 128;

/** A group that something is to be said about. */
class Change {
  readonly group: number;
  joined: boolean;
  /** When the next message is due. */
  deadline = 0;
  /** Messages about the change that are still to be sent; 0: an answer to a query. */
  left = 0;

  constructor(group: number, joined: boolean) {
    this.group = group;
    this.joined = joined;
  }
}

/** What is to be said on one interface. */
class Membership {
  readonly on: Ipv4Interface;
  readonly pending: Change[] = [];
  /** When a general query is to be answered, or `Infinity`. */
  answerAt = Infinity;
  /** Until when queriers of version 1 and 2 are about. */
  version1Until = -Infinity;
  version2Until = -Infinity;

  constructor(on: Ipv4Interface) {
    this.on = on;
  }

  version(now: number): 1 | 2 | 3 {
    return now < this.version1Until ? 1 : now < this.version2Until ? 2 : 3;
  }

  get deadline(): number {
    let next = this.answerAt;
    for (const each of this.pending) if (each.deadline < next) next = each.deadline;
    return next;
  }
}

class HostIgmp implements Igmp {
  readonly statistics = new IgmpStatistics();
  readonly #ip: Ipv4;
  readonly #timers: Timers;
  readonly #random: Random;
  readonly #timer: Timer;
  readonly #memberships: readonly Membership[];
  readonly #message = new Uint8Array(8 + mostRecords * 8);

  constructor({ ip, timers, random }: IgmpOptions) {
    this.#ip = ip;
    this.#timers = timers;
    this.#random = random;
    this.#memberships = ip.interfaces.map((each) => new Membership(each));
    this.#timer = timers.timer(() => this.#run());
    ip.listen(protocolIgmp, (packet) => this.#receive(packet));
    ip.listenGroups((on, group, joined) => this.#changed(on, group, joined));
  }

  close(): void {
    this.#timer.cancel();
    this.#ip.listenGroups(() => undefined);
    for (const each of this.#memberships) each.pending.length = 0;
  }

  #changed(on: Ipv4Interface, group: number, joined: boolean): void {
    const membership = this.#memberships[on.index - 1];
    if (membership === undefined || group === allSystems) return;
    let change = membership.pending.find((each) => each.group === group);
    if (change === undefined) {
      if (membership.pending.length >= mostRecords) return;
      change = new Change(group, joined);
      membership.pending.push(change);
    }
    change.joined = joined;
    // Version 2 says once that it leaves (RFC 2236 §3), version 1 never.
    change.left = joined || membership.version(this.#timers.now()) === 3 ? robustness : 1;
    change.deadline = this.#timers.now();
    this.#arm();
  }

  #receive(packet: IpPacket): void {
    const { offset, length, hopLimit } = packet;
    const bytes = packet.page.bytes;
    if (length < igmp.size || hopLimit !== 1 || checksum(bytes, offset, length) !== 0) {
      this.statistics.malformed++;
      return;
    }
    const membership = this.#memberships[packet.interface - 1];
    if (membership === undefined || packet.source.equals(membership.on.prefix?.address ?? packet.destination)) return;
    const type = igmp.field.type.get(bytes, offset);
    const group = igmp.field.group.word(bytes, offset);
    if (type === igmpQuery) this.#query(membership, bytes, offset, length, group);
    else if (type === igmpReport1 || type === igmpReport2) this.#heard(membership, group);
  }

  #query(membership: Membership, bytes: Uint8Array, offset: number, length: number, group: number): void {
    this.statistics.queries++;
    const now = this.#timers.now();
    const code = igmp.field.maximumResponse.get(bytes, offset);
    let most = version1Response;
    if (length >= igmp.size + igmpQuery3.size) most = responseTime(code);
    else if (code === 0) membership.version1Until = now + olderVersionTime;
    else {
      membership.version2Until = now + olderVersionTime;
      most = code * 100;
    }
    const at = now + (Math.min(most, longestResponse) * this.#random.uint32()) / 0x1_0000_0000;
    if (group === 0 && membership.version(now) === 3) {
      if (at < membership.answerAt) membership.answerAt = at;
    } else {
      const { groups } = membership.on;
      for (let place = 0; place < groups.size; place++) {
        if (group === 0 || groups.at(place) === group) this.#answer(membership, groups.at(place), at, most);
      }
    }
    this.#arm();
  }

  /** RFC 3376 §5.2 (5), RFC 2236 §3: an answer that is due sooner stays. */
  #answer(membership: Membership, group: number, at: number, most: number): void {
    if (group === allSystems) return;
    const known = membership.pending.find((each) => each.group === group);
    if (known !== undefined) {
      if (at < known.deadline) known.deadline = at;
      return;
    }
    if (membership.pending.length >= mostRecords) return;
    const change = new Change(group, true);
    // Older hosts answer each for themselves, and hear each other: each group has a delay of its own.
    const spread = (most * this.#random.uint32()) / 0x1_0000_0000;
    change.deadline = membership.version(this.#timers.now()) === 3 ? at : this.#timers.now() + spread;
    membership.pending.push(change);
  }

  /** RFC 2236 §3: somebody else has said that the group is wanted. */
  #heard(membership: Membership, group: number): void {
    if (membership.version(this.#timers.now()) === 3) return;
    const place = membership.pending.findIndex((each) => each.group === group && each.joined && each.left === 0);
    if (place >= 0) membership.pending.splice(place, 1);
  }

  #arm(): void {
    let next = Infinity;
    for (const each of this.#memberships) next = Math.min(next, each.deadline);
    this.#timer.set(next);
  }

  #run(): void {
    const now = this.#timers.now();
    for (const membership of this.#memberships) {
      if (membership.deadline > now) continue;
      if (membership.version(now) === 3) this.#report3(membership, now);
      else this.#reportOlder(membership, now);
    }
    this.#arm();
  }

  /** One report with all that is due. */
  #report3(membership: Membership, now: number): void {
    const { on } = membership;
    let records = 0;
    const add = (type: number, group: number): void => {
      if (records === mostRecords) return;
      const at = igmpReport.size + igmpRecord.size * records++;
      igmpRecord.field.type.set(this.#message, at, type);
      igmpRecord.field.auxiliary.set(this.#message, at, 0);
      igmpRecord.field.sources.set(this.#message, at, 0);
      igmpRecord.field.group.setWord(this.#message, at, group);
    };
    for (const each of [...membership.pending]) {
      if (each.deadline > now) continue;
      add(each.left === 0 ? isExclude : each.joined ? toExclude : toInclude, each.group);
      this.#said(membership, each, now, unsolicitedInterval);
    }
    if (membership.answerAt <= now) {
      membership.answerAt = Infinity;
      const { groups } = on;
      for (let place = 0; place < groups.size; place++) {
        if (groups.at(place) !== allSystems) add(isExclude, groups.at(place));
      }
    }
    if (records === 0) return;
    const message = this.#message;
    message.fill(0, 0, igmpReport.size);
    igmpReport.field.type.set(message, 0, igmpReport3);
    igmpReport.field.records.set(message, 0, records);
    this.statistics.reportsSent++;
    this.#send(on, allIgmpRouters, igmpReport.size + igmpRecord.size * records);
  }

  /** A message for each group, to the group. */
  #reportOlder(membership: Membership, now: number): void {
    const { on } = membership;
    membership.answerAt = Infinity;
    for (const each of [...membership.pending]) {
      if (each.deadline > now) continue;
      const { group, joined } = each;
      const version = membership.version(now);
      if (joined) {
        this.statistics.reportsSent++;
        this.#sendShort(on, version === 1 ? igmpReport1 : igmpReport2, group, group);
      } else if (version === 2) {
        this.statistics.leavesSent++;
        this.#sendShort(on, igmpLeave2, group, allRouters);
        each.left = 1;
      }
      this.#said(membership, each, now, olderUnsolicitedInterval);
    }
  }

  /** A message about a group has been sent: when is the next, or is it all said? */
  #said(membership: Membership, change: Change, now: number, interval: number): void {
    if (change.left > 0) change.left--;
    if (change.left > 0) {
      change.deadline = now + (interval * this.#random.uint32()) / 0x1_0000_0000;
      return;
    }
    membership.pending.splice(membership.pending.indexOf(change), 1);
  }

  #sendShort(on: Ipv4Interface, type: number, group: number, to: number): void {
    const message = this.#message;
    igmp.field.type.set(message, 0, type);
    igmp.field.maximumResponse.set(message, 0, 0);
    igmp.field.checksum.set(message, 0, 0);
    igmp.field.group.setWord(message, 0, group);
    this.#send(on, to, igmp.size);
  }

  #send(on: Ipv4Interface, to: number, length: number): void {
    const message = this.#message;
    const sum = checksum(message, 0, length);
    igmp.field.checksum.set(message, 0, sum);
    this.#ip.sendAlert(on, to, protocolIgmp, message, length);
  }
}
