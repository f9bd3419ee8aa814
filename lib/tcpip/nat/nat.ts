/** NAT44 with endpoint-independent mapping: RFC 4787 (UDP), RFC 5382 (TCP), RFC 5508 (ICMP), RFC 7857. */

import type { IpAddress } from "@tesserae/device/address";
import type { Timer, Timers } from "@tesserae/device/clock";
import { protocolIcmp, protocolTcp, protocolUdp } from "@tesserae/device/ip";
import type { Random } from "@tesserae/device/random";
import { checksum } from "@tesserae/wire/checksum";
import type { Translator } from "../forward/forward.ts";
import {
  icmpEchoReply,
  icmpEchoRequest,
  icmpParameterProblem,
  icmpTimeExceeded,
  icmpUnreachable,
} from "../icmp/wire.ts";
import type { Ipv4Interface } from "../ipv4/interface.ts";
import { ipv4 } from "../ipv4/wire.ts";
import { PortChoice, type PortRange, usualPorts } from "./ports.ts";
import { destinationAt, destinationPortAt, identifierAt, rewrite, sourceAt, sourcePortAt, word16 } from "./rewrite.ts";
import { sessionClass, type SessionClass, SessionTable } from "./session-table.ts";

/** A port of the outside address that always leads to the same server inside. */
export interface PortForward {
  readonly protocol: "tcp" | "udp";
  /** Outside, 1–65,535. */
  readonly port: number;
  readonly to: { readonly address: IpAddress; readonly port: number };
}

/**
 * Who outside may send to a mapping (RFC 4787 §5): whoever the inside endpoint has sent to, to the port or to the whole
 * address; or anybody, which games like and scanners too.
 */
export type NatFiltering = "endpoint-independent" | "address" | "address-and-port";

export interface NatOptions {
  /** What is inside leaves with this interface's address. */
  readonly outside: Ipv4Interface;
  readonly timers: Timers;
  readonly random: Random;
  /** Default `address-and-port`. */
  readonly filtering?: NatFiltering;
  readonly forwards?: readonly PortForward[];
  readonly ports?: PortRange;
  /**
   * Whether a port of the outside address is our own, so that no mapping may have it. Default: none in the range is;
   * of `createRouter`: those that its listeners and sockets have.
   */
  readonly isTaken?: (protocol: "tcp" | "udp", port: number) => boolean;
  /** Sessions at once, 16 to 1,000,000. Default 16,384; each takes some 80 bytes. */
  readonly capacity?: number;
  /** Sessions of one inside host. Default a quarter of all. */
  readonly mostOfHost?: number;
}

export class NatStatistics {
  outbound = 0;
  inbound = 0;
  /** Packets between two inside hosts by way of the outside address (RFC 4787 §6). */
  hairpinned = 0;
  errors = 0;
  sessionsMade = 0;
  sessionsExpired = 0;
  /** From somebody that the mapping does not let in. */
  filtered = 0;
  /** No port, or no room that the host has not used up itself. */
  refused = 0;
  /** Neither TCP nor UDP nor an ICMP query, or too short. */
  unsupported = 0;
  /** ICMP errors about nothing that we know. */
  strayErrors = 0;
  /** From outside to an inside address as if there were no NAT. */
  intruders = 0;
}

export interface Nat extends Translator {
  readonly statistics: NatStatistics;
  /** Mappings and sessions now, and how many sessions had to make room. */
  readonly size: { readonly mappings: number; readonly sessions: number; readonly evicted: number };
  /** Forgets every session and stops the timer. */
  close(): void;
}

/** RFC 4787 §4.3 (120 s at least, 300 s recommended), RFC 5382 §5 (124 minutes, 4 minutes), RFC 5508 §3.2 (60 s). */
export const natTimeouts = { icmp: 60_000, udpOneWay: 120_000, tcpTransitory: 240_000, udpTwoWay: 300_000 } as const;
export const natEstablishedTimeout = 7_440_000;

/** @throws RangeError when an option is out of range, or a forward's port is given twice. */
export function createNat(options: NatOptions): Nat {
  return new Nat44(options);
}

// Bits of a session's flags.
const outSeen = 1;
const inSeen = 2;
const finOut = 4;
const finIn = 8;
const reset = 16;

const tcpFin = 1;
const tcpSyn = 2;
const tcpRst = 4;

const none = -1;

class Nat44 implements Nat {
  readonly statistics = new NatStatistics();
  readonly #outside: Ipv4Interface;
  readonly #timers: Timers;
  readonly #timer: Timer;
  readonly #filtering: NatFiltering;
  readonly #ports: PortChoice;
  readonly #isTaken: (protocol: "tcp" | "udp", port: number) => boolean;
  readonly #table: SessionTable;
  readonly #forwarded = new Set<number>();
  /** The outside address that the sessions are of. */
  #address = 0;
  // What `rewrite` is to do, as the last `inbound` and `outbound` found it.
  #kind: "nothing" | "packet" | "error" = "nothing";
  #source = none;
  #destination = none;
  #protocol = 0;

  constructor(options: NatOptions) {
    const { outside, timers, random, filtering = "address-and-port", capacity = 16_384, forwards = [] } = options;
    if (!(Number.isInteger(capacity) && capacity >= 16 && capacity <= 1_000_000)) {
      throw new RangeError(`capacity ${capacity} is not an integer from 16 to 1000000`);
    }
    const mostOfHost = options.mostOfHost ?? capacity >>> 2;
    if (!(Number.isInteger(mostOfHost) && mostOfHost >= 1)) throw new RangeError(`mostOfHost ${mostOfHost} is below 1`);
    this.#outside = outside;
    this.#timers = timers;
    this.#filtering = filtering;
    this.#ports = new PortChoice(options.ports ?? usualPorts, random);
    this.#isTaken = options.isTaken ?? (() => false);
    const { icmp, udpOneWay, tcpTransitory, udpTwoWay } = natTimeouts;
    const timeouts = [icmp, udpOneWay, tcpTransitory, udpTwoWay, natEstablishedTimeout];
    this.#table = new SessionTable(capacity, mostOfHost, timeouts, filtering === "address", random);
    this.#timer = timers.timer(() => this.#expire());
    for (const forward of forwards) this.#forward(forward);
  }

  get size(): { readonly mappings: number; readonly sessions: number; readonly evicted: number } {
    const { mappings, sessions, evicted } = this.#table;
    return { mappings, sessions, evicted };
  }

  close(): void {
    this.#table.clear();
    this.#timer.cancel();
  }

  needsWhole(_destination: number, from: Ipv4Interface): boolean {
    // Fragments between inside networks need no ports; but whether they stay inside is not known yet.
    return from !== this.#outside;
  }

  inbound(bytes: Uint8Array, header: number, total: number, from: Ipv4Interface): number {
    this.#kind = "nothing";
    if (!this.#isCurrent() || ipv4.field.destination.word(bytes, header) !== this.#address) return 0;
    const protocol = ipv4.field.protocol.get(bytes, header);
    const start = header + ipv4.field.headerLength.get(bytes, header) * 4;
    const length = header + total - start;
    if (length < 8) return 0;
    if (protocol === protocolIcmp && isError(bytes[start] ?? 0)) return this.#errorIn(bytes, start, length);
    const isQuery = protocol === protocolIcmp;
    if (isQuery ? bytes[start] !== icmpEchoReply : protocol !== protocolTcp && protocol !== protocolUdp) return 0;
    const table = this.#table;
    const mapping = table.findOutside(protocol, word16(bytes, start + (isQuery ? identifierAt : destinationPortAt)));
    if (mapping === none) return 0;
    let remote = ipv4.field.source.word(bytes, header);
    let remotePort = isQuery ? 0 : word16(bytes, start + sourcePortAt);
    let source = none;
    if (from !== this.#outside) {
      // RFC 4787 §6: it goes on as if it had been outside and come back.
      source = this.#mappingOf(protocol, remote, isQuery ? word16(bytes, start + identifierAt) : remotePort);
      if (source === none || !this.#track(source, this.#address, this.#portOf(bytes, start, protocol), 0, false)) {
        if (source !== none) table.dropUnused(source);
        return none;
      }
      remote = this.#address;
      remotePort = table.outsidePort[source] ?? 0;
      this.statistics.hairpinned++;
    }
    let session = table.findSession(mapping, remote, remotePort);
    if (session === none) {
      if (!this.#letsIn(mapping, protocol, remote) || isQuery) {
        this.statistics.filtered++;
        return none;
      }
      session = this.#open(mapping, remote, remotePort);
      if (session === none) return none;
    }
    this.#use(session, protocol, protocol === protocolTcp ? (bytes[start + 13] ?? 0) : 0, true);
    this.statistics.inbound++;
    this.#kind = "packet";
    this.#source = source;
    this.#destination = mapping;
    this.#protocol = protocol;
    return table.inside[mapping] ?? 0;
  }

  outbound(bytes: Uint8Array, header: number, total: number, from: Ipv4Interface, to: Ipv4Interface): boolean {
    this.#kind = "nothing";
    if (to !== this.#outside) {
      if (from !== this.#outside) return true;
      this.statistics.intruders++;
      return false;
    }
    if (from === this.#outside || !this.#isCurrent()) return from === this.#outside;
    const protocol = ipv4.field.protocol.get(bytes, header);
    const start = header + ipv4.field.headerLength.get(bytes, header) * 4;
    const length = header + total - start;
    const isQuery = protocol === protocolIcmp;
    if (isQuery && length >= 8 && isError(bytes[start] ?? 0)) return this.#errorOut(bytes, start, length);
    const supported = isQuery ? bytes[start] === icmpEchoRequest : protocol === protocolTcp || protocol === protocolUdp;
    if (!supported || length < 8 || (protocol === protocolTcp && length < 20)) {
      this.statistics.unsupported++;
      return false;
    }
    const inside = ipv4.field.source.word(bytes, header);
    const port = word16(bytes, start + (isQuery ? identifierAt : sourcePortAt));
    const mapping = this.#mappingOf(protocol, inside, port);
    if (mapping === none) return false;
    const remote = ipv4.field.destination.word(bytes, header);
    const flags = protocol === protocolTcp ? (bytes[start + 13] ?? 0) : 0;
    if (!this.#track(mapping, remote, this.#portOf(bytes, start, protocol), flags, true)) {
      this.#table.dropUnused(mapping);
      return false;
    }
    this.statistics.outbound++;
    this.#kind = "packet";
    this.#source = mapping;
    this.#destination = none;
    this.#protocol = protocol;
    return true;
  }

  rewrite(bytes: Uint8Array, header: number, total: number, partial: boolean): void {
    const kind = this.#kind;
    if (kind === "nothing") return;
    this.#kind = "nothing";
    const table = this.#table;
    if (kind === "error") {
      this.#rewriteError(bytes, header, total);
      return;
    }
    const isQuery = this.#protocol === protocolIcmp;
    const source = this.#source;
    if (source !== none) {
      const port = table.outsidePort[source] ?? 0;
      rewrite(bytes, header, total, sourceAt, this.#address, isQuery ? identifierAt : sourcePortAt, port, partial);
    }
    const destination = this.#destination;
    if (destination !== none) {
      const inside = table.inside[destination] ?? 0;
      const port = table.insidePort[destination] ?? 0;
      const at = isQuery ? identifierAt : destinationPortAt;
      rewrite(bytes, header, total, destinationAt, inside, at, port, partial);
    }
  }

  #forward({ protocol, port, to }: PortForward): void {
    const number = protocol === "tcp" ? protocolTcp : protocolUdp;
    for (const each of [port, to.port]) {
      if (!Number.isInteger(each) || each < 1 || each > 65_535) throw new RangeError(`port ${each} of a forward`);
    }
    if (to.address.family !== 4) throw new RangeError(`forward to ${to.address.toString()}, which is not IPv4`);
    const table = this.#table;
    if (table.findOutside(number, port) !== none) throw new RangeError(`${protocol} port ${port} is forwarded twice`);
    const mapping = table.addMapping(number, to.address.w3, to.port, port);
    if (mapping === none) throw new RangeError("more forwards than sessions");
    table.hold(mapping);
    this.#forwarded.add(mapping);
  }

  /** Sees to it that the sessions are of the outside address there is now. False without one. */
  #isCurrent(): boolean {
    const { own } = this.#outside;
    if (own === this.#address) return own !== 0;
    this.#table.clear();
    this.#address = own;
    return own !== 0;
  }

  /** The remote port of a packet that leaves; 0 for queries. */
  #portOf(bytes: Uint8Array, start: number, protocol: number): number {
    return protocol === protocolIcmp ? 0 : word16(bytes, start + destinationPortAt);
  }

  #mappingOf(protocol: number, inside: number, port: number): number {
    const table = this.#table;
    const known = table.findInside(protocol, inside, port);
    if (known !== none) return known;
    const name = protocol === protocolTcp ? "tcp" : "udp";
    const isTaken = (candidate: number): boolean =>
      table.findOutside(protocol, candidate) !== none || (protocol !== protocolIcmp && this.#isTaken(name, candidate));
    const chosen = table.makeRoom(inside) ? this.#ports.choose(protocol, inside, port, isTaken) : 0;
    const made = chosen === 0 ? none : table.addMapping(protocol, inside, port, chosen);
    if (made === none) this.statistics.refused++;
    return made;
  }

  /** Notes a packet that leaves through a mapping. False when there is no room for its session. */
  #track(mapping: number, remote: number, port: number, flags: number, isOut: boolean): boolean {
    let session = this.#table.findSession(mapping, remote, port);
    if (session === none) session = this.#open(mapping, remote, port);
    if (session === none) return false;
    this.#use(session, this.#table.protocol[mapping] ?? 0, flags, !isOut);
    return true;
  }

  #open(mapping: number, remote: number, port: number): number {
    const table = this.#table;
    // A mapping without a session must not go with the session that makes room.
    table.hold(mapping);
    const hasRoom = table.makeRoom(table.inside[mapping] ?? 0);
    const protocol = table.protocol[mapping] ?? 0;
    const made = hasRoom ? table.addSession(mapping, remote, port, firstClass(protocol), this.#timers.now()) : none;
    table.release(mapping);
    if (made === none) {
      this.statistics.refused++;
      return none;
    }
    this.statistics.sessionsMade++;
    const deadline = table.nextDeadline();
    if (deadline < this.#timer.deadline) this.#timer.set(deadline);
    return made;
  }

  #letsIn(mapping: number, protocol: number, remote: number): boolean {
    if (this.#forwarded.has(mapping)) return true;
    if (protocol === protocolIcmp) return false;
    if (this.#filtering === "address") return this.#table.knowsAddress(mapping, remote);
    return this.#filtering === "endpoint-independent";
  }

  /** Notes a packet of a session, and what class the session is of from now on. */
  #use(session: number, protocol: number, tcpFlags: number, isIn: boolean): void {
    const table = this.#table;
    let flags = (table.flags[session] ?? 0) | (isIn ? inSeen : outSeen);
    if (protocol === protocolTcp) {
      const closed = finOut | finIn;
      if ((tcpFlags & tcpRst) !== 0) flags |= reset;
      // RFC 7857 §2.2: a forged reset does not end a session that goes on.
      else flags &= ~reset;
      if ((tcpFlags & tcpSyn) !== 0 && (flags & closed) === closed) flags = isIn ? inSeen : outSeen;
      if ((tcpFlags & tcpFin) !== 0) flags |= isIn ? finIn : finOut;
    }
    table.flags[session] = flags;
    table.touch(session, classOf(protocol, flags), this.#timers.now());
  }

  #expire(): void {
    this.statistics.sessionsExpired += this.#table.expire(this.#timers.now());
    this.#timer.set(this.#table.nextDeadline());
  }

  /** An ICMP error from outside about a packet that we sent for somebody inside (RFC 5508 §4.2). */
  #errorIn(bytes: Uint8Array, start: number, length: number): number {
    const mapping = this.#quoted(bytes, start + 8, length - 8, true);
    if (mapping === none) return 0;
    this.statistics.errors++;
    this.#kind = "error";
    this.#source = none;
    this.#destination = mapping;
    return this.#table.inside[mapping] ?? 0;
  }

  /** An ICMP error from inside about a packet that came from outside. */
  #errorOut(bytes: Uint8Array, start: number, length: number): boolean {
    const mapping = this.#quoted(bytes, start + 8, length - 8, false);
    if (mapping === none) {
      this.statistics.strayErrors++;
      return false;
    }
    this.statistics.errors++;
    this.#kind = "error";
    this.#source = mapping;
    this.#destination = none;
    return true;
  }

  /** The mapping of the packet that an error quotes, if it is of a session. */
  #quoted(bytes: Uint8Array, at: number, length: number, wasOut: boolean): number {
    const header = length < ipv4.size ? 0 : ipv4.field.headerLength.get(bytes, at) * 4;
    if (header < ipv4.size || length < header + 8 || ipv4.field.fragmentOffset.get(bytes, at) !== 0) return none;
    const protocol = ipv4.field.protocol.get(bytes, at);
    const isQuery = protocol === protocolIcmp;
    const start = at + header;
    const table = this.#table;
    const source = ipv4.field.source.word(bytes, at);
    const destination = ipv4.field.destination.word(bytes, at);
    const sourcePort = word16(bytes, start + (isQuery ? identifierAt : sourcePortAt));
    const destinationPort = word16(bytes, start + (isQuery ? identifierAt : destinationPortAt));
    if (wasOut && source !== this.#address) return none;
    const mapping = wasOut
      ? table.findOutside(protocol, sourcePort)
      : table.findInside(protocol, destination, destinationPort);
    if (mapping === none) return none;
    const remotePort = isQuery ? 0 : wasOut ? destinationPort : sourcePort;
    const session = table.findSession(mapping, wasOut ? destination : source, remotePort);
    return session === none ? none : mapping;
  }

  #rewriteError(bytes: Uint8Array, header: number, total: number): void {
    const table = this.#table;
    const start = header + ipv4.field.headerLength.get(bytes, header) * 4;
    const end = header + total;
    const quote = start + 8;
    const isQuery = ipv4.field.protocol.get(bytes, quote) === protocolIcmp;
    const destination = this.#destination;
    if (destination !== none) {
      const inside = table.inside[destination] ?? 0;
      const port = table.insidePort[destination] ?? 0;
      const at = isQuery ? identifierAt : sourcePortAt;
      rewrite(bytes, quote, end - quote, sourceAt, inside, at, port, false);
      rewrite(bytes, header, total, destinationAt, inside, none, 0, false);
    } else {
      const port = table.outsidePort[this.#source] ?? 0;
      const at = isQuery ? identifierAt : destinationPortAt;
      rewrite(bytes, quote, end - quote, destinationAt, this.#address, at, port, false);
      rewrite(bytes, header, total, sourceAt, this.#address, none, 0, false);
    }
    // Rare and short: summed anew.
    bytes[start + 2] = 0;
    bytes[start + 3] = 0;
    const sum = checksum(bytes, start, end - start);
    bytes[start + 2] = sum >>> 8;
    bytes[start + 3] = sum;
  }
}

function isError(type: number): boolean {
  return type === icmpUnreachable || type === icmpTimeExceeded || type === icmpParameterProblem;
}

function firstClass(protocol: number): SessionClass {
  if (protocol === protocolTcp) return sessionClass.tcpTransitory;
  return protocol === protocolUdp ? sessionClass.udpOneWay : sessionClass.icmp;
}

function classOf(protocol: number, flags: number): SessionClass {
  const both = (flags & (outSeen | inSeen)) === (outSeen | inSeen);
  if (protocol === protocolUdp) return both ? sessionClass.udpTwoWay : sessionClass.udpOneWay;
  if (protocol === protocolIcmp) return sessionClass.icmp;
  const ended = (flags & reset) !== 0 || (flags & (finOut | finIn)) === (finOut | finIn);
  return both && !ended ? sessionClass.tcpEstablished : sessionClass.tcpTransitory;
}
