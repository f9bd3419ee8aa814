/**
 * Reassembly of IPv4 fragments (RFC 791 §3.2, RFC 1122 §3.3.2), for a world with hostile fragments in it.
 *
 * Bounded in datagrams, in fragments of each, in datagrams of one source, and in time. A fragment that overlaps another
 * with different bytes condemns the whole datagram (what RFC 5722 asks of IPv6), which then swallows the rest of its
 * fragments until its time is up. First fragments too short to show a transport header, and second ones placed to
 * overwrite it, are refused (RFC 1858, RFC 3128).
 */

import { protocolTcp } from "@tesserae/device/ip";
import { Page } from "@tesserae/device/page";
import { checksum } from "@tesserae/wire/checksum";
import { copyBytes } from "./copy-bytes.ts";
import { ipv4 } from "./wire.ts";

/** Where the payload begins in a slot's page: behind the longest header. */
const payloadStart = 60;

export interface ReassemblyOptions {
  /** Datagrams in reassembly at once, 1–256. Each may come to hold 64 KiB. Default 16. */
  readonly capacity?: number;
  /** Fragments of one datagram, default 128: 64 KiB over a path MTU of 576. */
  readonly mostFragments?: number;
  /** Milliseconds from the first fragment until a datagram is given up. Default 30,000. */
  readonly lifetime?: number;
}

export class ReassemblyStatistics {
  fragments = 0;
  reassembled = 0;
  /** Fragments seen before, byte by byte the same. */
  duplicates = 0;
  /** Datagrams condemned because fragments overlap or contradict each other. */
  overlaps = 0;
  /** Fragments refused by themselves: bad length, too short, too far, too many. */
  refused = 0;
  /** Datagrams given up for want of fragments. */
  timeouts = 0;
  /** Datagrams given up for want of room. */
  evicted = 0;
}

/** A datagram in reassembly; when complete, what it was put together to. */
export class ReassembledDatagram {
  /** The packet as if it had come whole: a header, without the first fragment's options lost, and the payload. */
  readonly page: Page;
  /** Where the payload is in the page. */
  readonly offset = payloadStart;
  /** Where the header is in the page, once the first fragment is there. */
  headerOffset = 0;
  /** Payload bytes; −1 until the last fragment is there. */
  length = -1;
  source = 0;
  destination = 0;
  protocol = 0;
  identification = 0;
  /** Instant at which it is given up; 0 is a free slot. */
  deadline = 0;
  /** Keeps its place and swallows fragments, but will never be delivered. */
  condemned = false;
  fragments = 0;
  /** Bit n is set when a fragment with ECN bits n was seen. */
  ecnSeen = 0;
  /** Disjoint ranges of payload that are there, ascending. */
  ranges = 0;
  readonly starts: Int32Array;
  readonly ends: Int32Array;

  constructor(mostFragments: number) {
    this.page = new Page(new Uint8Array(payloadStart + 65_536), 0);
    this.starts = new Int32Array(mostFragments + 1);
    this.ends = new Int32Array(mostFragments + 1);
  }

  get hasFirst(): boolean {
    return this.headerOffset !== 0;
  }
}

export class Reassembler {
  readonly statistics = new ReassemblyStatistics();
  readonly #capacity: number;
  readonly #mostOfSource: number;
  readonly #mostFragments: number;
  readonly #lifetime: number;
  /** Grows up to the capacity and stays: a slot's buffer is used again. */
  readonly #slots: ReassembledDatagram[] = [];

  /** @throws RangeError when an option is out of range. */
  constructor(options: ReassemblyOptions = {}) {
    this.#capacity = options.capacity ?? 16;
    this.#mostFragments = options.mostFragments ?? 128;
    this.#lifetime = options.lifetime ?? 30_000;
    if (!(this.#capacity >= 1 && this.#capacity <= 256)) throw new RangeError("capacity is not from 1 to 256");
    if (!(this.#mostFragments >= 2)) throw new RangeError("mostFragments is below 2");
    if (!(this.#lifetime > 0)) throw new RangeError("lifetime is not above 0");
    this.#mostOfSource = Math.max(1, this.#capacity >>> 2);
  }

  /** Datagrams in reassembly now. */
  get pending(): number {
    return this.#slots.reduce((count, slot) => (slot.deadline === 0 ? count : count + 1), 0);
  }

  /** When the next datagram is to be given up, or `Infinity`. */
  nextDeadline(): number {
    let next = Infinity;
    for (const slot of this.#slots) if (slot.deadline !== 0 && slot.deadline < next) next = slot.deadline;
    return next;
  }

  /**
   * Takes one fragment, whose header at `bytes[header …)` has been checked.
   *
   * @returns the datagram when this was its last missing piece: valid until the next call of `add`, after which the
   * slot is used again.
   */
  add(bytes: Uint8Array, header: number, now: number): ReassembledDatagram | undefined {
    const statistics = this.statistics;
    statistics.fragments++;
    const headerLength = ipv4.field.headerLength.get(bytes, header) * 4;
    const length = ipv4.field.totalLength.get(bytes, header) - headerLength;
    const start = ipv4.field.fragmentOffset.get(bytes, header) * 8;
    const more = ipv4.field.moreFragments.get(bytes, header);
    const protocol = ipv4.field.protocol.get(bytes, header);
    const end = start + length;
    if (refuse(protocol, start, length, more)) {
      statistics.refused++;
      return undefined;
    }
    const slot = this.#slot(
      ipv4.field.source.word(bytes, header),
      ipv4.field.destination.word(bytes, header),
      protocol,
      ipv4.field.identification.get(bytes, header),
      now,
    );
    if (slot.condemned) return undefined;
    if (++slot.fragments > this.#mostFragments) {
      statistics.refused++;
      slot.condemned = true;
      return undefined;
    }
    const beyond = slot.length >= 0 && (end > slot.length || (!more && end !== slot.length));
    const short = !more && slot.ranges > 0 && (slot.ends[slot.ranges - 1] ?? 0) > end;
    if (beyond || short) {
      this.#condemn(slot);
      return;
    }
    const payload = header + headerLength;
    const placed = place(slot, start, end, bytes, payload);
    if (placed === "overlap") {
      this.#condemn(slot);
      return;
    }
    if (placed === "duplicate") {
      statistics.duplicates++;
      return undefined;
    }
    const target = slot.page.bytes;
    copyBytes(bytes, payload, target, payloadStart + start, length);
    slot.ecnSeen |= 1 << ipv4.field.ecn.get(bytes, header);
    if (!more) slot.length = end;
    if (start === 0) {
      slot.headerOffset = payloadStart - headerLength;
      copyBytes(bytes, header, target, slot.headerOffset, headerLength);
    }
    if (slot.ranges !== 1 || slot.starts[0] !== 0 || slot.ends[0] !== slot.length) return undefined;
    slot.deadline = 0;
    if (!finish(slot)) {
      statistics.refused++;
      return undefined;
    }
    statistics.reassembled++;
    return slot;
  }

  /** Gives up one datagram whose time is over, or `undefined`. Valid until the next call of `add`. */
  expire(now: number): ReassembledDatagram | undefined {
    for (const slot of this.#slots) {
      if (slot.deadline === 0 || slot.deadline > now) continue;
      slot.deadline = 0;
      if (!slot.condemned) this.statistics.timeouts++;
      return slot;
    }
    return undefined;
  }

  #condemn(slot: ReassembledDatagram): undefined {
    this.statistics.overlaps++;
    slot.condemned = true;
  }

  #slot(source: number, destination: number, protocol: number, identification: number, now: number) {
    let free: ReassembledDatagram | undefined;
    let ofSource = 0;
    for (const slot of this.#slots) {
      if (slot.deadline === 0) {
        free ??= slot;
        continue;
      }
      if (slot.source !== source) continue;
      ofSource++;
      if (slot.identification === identification && slot.destination === destination && slot.protocol === protocol) {
        return slot;
      }
    }
    if (ofSource >= this.#mostOfSource) free = this.#evict(source);
    else if (free === undefined && this.#slots.length < this.#capacity) {
      free = new ReassembledDatagram(this.#mostFragments);
      this.#slots.push(free);
    }
    const slot = free ?? this.#evict(undefined);
    slot.source = source;
    slot.destination = destination;
    slot.protocol = protocol;
    slot.identification = identification;
    slot.deadline = now + this.#lifetime;
    slot.headerOffset = 0;
    slot.length = -1;
    slot.condemned = false;
    slot.fragments = 0;
    slot.ecnSeen = 0;
    slot.ranges = 0;
    return slot;
  }

  /**
   * Makes room: the oldest datagram of `source`; without one, the oldest condemned one, else the oldest of the source
   * that holds most. So a source that floods pushes out itself.
   */
  #evict(source: number | undefined): ReassembledDatagram {
    let victim: ReassembledDatagram | undefined;
    let most = 0;
    for (const slot of this.#slots) {
      if (slot.deadline === 0 || (source !== undefined && slot.source !== source)) continue;
      let weight = slot.condemned ? this.#capacity + 1 : 0;
      for (const other of this.#slots) if (other.deadline !== 0 && other.source === slot.source) weight++;
      if (victim !== undefined && (weight < most || (weight === most && slot.deadline >= victim.deadline))) continue;
      victim = slot;
      most = weight;
    }
    this.statistics.evicted++;
    if (victim === undefined) throw new TypeError("nothing to evict");
    return victim;
  }
}

/** Whether a fragment is wrong by itself. */
function refuse(protocol: number, start: number, length: number, more: boolean): boolean {
  if (length === 0 || start + length > 65_535 - ipv4.size) return true;
  if (more && (length & 7) !== 0) return true;
  // RFC 1858 §3.2.2, RFC 3128 §2: the fixed TCP header comes whole in the first fragment or not at all.
  if (protocol === protocolTcp) return start === 0 ? length < 20 : start < 20;
  return start === 0 && more && length < 8;
}

/** Adds a range to those of the slot, joining neighbours. */
function place(
  slot: ReassembledDatagram,
  start: number,
  end: number,
  bytes: Uint8Array,
  payload: number,
): "placed" | "duplicate" | "overlap" {
  const { starts, ends } = slot;
  let index = slot.ranges;
  while (index > 0 && (starts[index - 1] ?? 0) >= start) index--;
  // Ranges before `index` begin before `start`, the others at it or behind it.
  const before = index - 1;
  const beforeEnd = before >= 0 ? (ends[before] ?? 0) : -1;
  const afterStart = index < slot.ranges ? (starts[index] ?? 0) : Infinity;
  if (beforeEnd > start || afterStart < end) {
    const within =
      (beforeEnd >= end && before >= 0) || (afterStart === start && index < slot.ranges && (ends[index] ?? 0) >= end);
    return within && same(slot.page.bytes, payloadStart + start, bytes, payload, end - start) ? "duplicate" : "overlap";
  }
  if (beforeEnd === start) {
    ends[before] = end;
    if (afterStart === end) {
      ends[before] = ends[index] ?? 0;
      starts.copyWithin(index, index + 1, slot.ranges);
      ends.copyWithin(index, index + 1, slot.ranges);
      slot.ranges--;
    }
  } else if (afterStart === end) {
    starts[index] = start;
  } else {
    starts.copyWithin(index + 1, index, slot.ranges);
    ends.copyWithin(index + 1, index, slot.ranges);
    starts[index] = start;
    ends[index] = end;
    slot.ranges++;
  }
  return "placed";
}

/** Makes the header that of the whole packet. False when the whole is longer than a packet can be. */
function finish(slot: ReassembledDatagram): boolean {
  const bytes = slot.page.bytes;
  const header = slot.headerOffset;
  const headerLength = payloadStart - header;
  if (slot.length + headerLength > 65_535) return false;
  // RFC 3168 §5.3: a mark on any fragment is a mark on the packet, unless some fragment says "not capable".
  if ((slot.ecnSeen & 8) !== 0) {
    if ((slot.ecnSeen & 1) !== 0) return false;
    ipv4.field.ecn.set(bytes, header, 3);
  }
  ipv4.field.totalLength.set(bytes, header, headerLength + slot.length);
  ipv4.field.moreFragments.set(bytes, header, false);
  ipv4.field.checksum.set(bytes, header, 0);
  ipv4.field.checksum.set(bytes, header, checksum(bytes, header, headerLength));
  slot.page.reset();
  return true;
}

function same(a: Uint8Array, atA: number, b: Uint8Array, atB: number, length: number): boolean {
  for (let index = 0; index < length; index++) if (a[atA + index] !== b[atB + index]) return false;
  return true;
}
