/**
 * Reassembly of IPv6 fragments (RFC 8200 §4.5), for a world with hostile fragments in it.
 *
 * Bounded in datagrams, in fragments of each, in datagrams of one source, and in time. A fragment that overlaps another
 * condemns the whole datagram (RFC 5722), which then swallows the rest of its fragments until its time is up; the same
 * fragment again is passed over. Atomic fragments never come here (RFC 6946).
 */

import { IpAddress } from "@tesserae/device/address";
import { Page } from "@tesserae/device/page";
import { FragmentRanges } from "../ip/fragment-ranges.ts";
import { copyBytes } from "../ipv4/copy-bytes.ts";
import { type ReassemblyOptions, ReassemblyStatistics } from "../ipv4/reassembly.ts";
import { isCompleteChain, mostChainBytes } from "./extension-headers.ts";
import { fragment, ipv6 } from "./wire.ts";

/** Where the fragmentable part begins in a slot's page: behind the longest header and chain. */
const payloadStart = ipv6.size + mostChainBytes;
const mostBytes = 65_535;

/** A datagram in reassembly; when complete, what it was put together to. */
export class ReassembledPacket {
  /** The packet as if it had come whole. */
  readonly page: Page;
  /** Where its header is in the page, once the first fragment is there; 0 before. */
  headerOffset = 0;
  /** Bytes of the fragmentable part; −1 until the last fragment is there. */
  length = -1;
  source: IpAddress = IpAddress.any6;
  destination: IpAddress = IpAddress.any6;
  identification = 0;
  /** The interface that it came in on. */
  interface = 0;
  /** Instant at which it is given up; 0 is a free slot. */
  deadline = 0;
  /** Keeps its place and swallows fragments, but will never be delivered. */
  condemned = false;
  fragments = 0;
  /** Bit n is set when a fragment with ECN bits n was seen. */
  ecnSeen = 0;
  readonly ranges: FragmentRanges;

  constructor(mostFragments: number) {
    this.page = new Page(new Uint8Array(payloadStart + 65_536), 0);
    this.ranges = new FragmentRanges(mostFragments + 1);
  }

  get hasFirst(): boolean {
    return this.headerOffset !== 0;
  }

  /** Behind the last byte, from the start of the page. */
  get end(): number {
    return payloadStart + Math.max(0, this.length);
  }
}

/** What is wrong with a fragment: a "parameter problem" for its sender. */
export type FragmentProblem = "length" | "too-long" | "incomplete-chain";

export class Reassembler6 {
  readonly statistics = new ReassemblyStatistics();
  /** After `add` gave `undefined`: what the sender is to be told, if anything. */
  problem: FragmentProblem | undefined;
  readonly #capacity: number;
  readonly #mostOfSource: number;
  readonly #mostFragments: number;
  readonly #lifetime: number;
  /** Grows up to the capacity and stays: a slot's buffer is used again. */
  readonly #slots: ReassembledPacket[] = [];

  /** @throws RangeError when an option is out of range. */
  constructor(options: ReassemblyOptions = {}) {
    this.#capacity = options.capacity ?? 16;
    this.#mostFragments = options.mostFragments ?? 128;
    // RFC 8200 §4.5: 60 seconds.
    this.#lifetime = options.lifetime ?? 60_000;
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
   * Takes one fragment of the packet whose header is at `bytes[header …)` and whose fragment header, checked to be
   * there, is at `bytes[at …)`.
   *
   * @param namedAt where the number of the fragment header is written
   * @param end behind the fragment
   * @returns the packet when this was its last missing piece: valid until the next call of `add`.
   */
  add(
    bytes: Uint8Array,
    header: number,
    namedAt: number,
    at: number,
    end: number,
    interfaceIndex: number,
    now: number,
  ): ReassembledPacket | undefined {
    const statistics = this.statistics;
    statistics.fragments++;
    this.problem = undefined;
    const start = fragment.field.fragmentOffset.get(bytes, at) * 8;
    const more = fragment.field.moreFragments.get(bytes, at);
    const length = end - at - fragment.size;
    const chain = at - header - ipv6.size;
    this.problem = refuse(bytes, at, end, start, more, chain);
    if (this.problem !== undefined || length === 0) {
      statistics.refused++;
      return undefined;
    }
    const slot = this.#slot(bytes, header, fragment.field.identification.get(bytes, at), interfaceIndex, now);
    if (slot.condemned) return undefined;
    if (++slot.fragments > this.#mostFragments) {
      statistics.refused++;
      slot.condemned = true;
      return undefined;
    }
    const stop = start + length;
    const isBeyond = slot.length >= 0 && (stop > slot.length || (!more && stop !== slot.length));
    if (isBeyond || (!more && slot.ranges.end > stop)) {
      this.#condemn(slot);
      return;
    }
    const target = slot.page.bytes;
    const placed = slot.ranges.place(start, stop, bytes, at + fragment.size, target, payloadStart);
    if (placed === "overlap") {
      this.#condemn(slot);
      return;
    }
    if (placed === "duplicate") {
      statistics.duplicates++;
      return undefined;
    }
    slot.ecnSeen |= 1 << ipv6.field.ecn.get(bytes, header);
    if (!more) slot.length = stop;
    if (start === 0) {
      // RFC 8200 §4.5: the headers of the first fragment are those of the packet, without the fragment header.
      slot.headerOffset = payloadStart - ipv6.size - chain;
      copyBytes(bytes, header, target, slot.headerOffset, ipv6.size + chain);
      target[slot.headerOffset + namedAt - header] = bytes[at] ?? 0;
    }
    if (slot.length < 0 || slot.ranges.head !== slot.length) return undefined;
    slot.deadline = 0;
    if (!finish(slot)) {
      statistics.refused++;
      return undefined;
    }
    statistics.reassembled++;
    return slot;
  }

  /** Gives up one datagram whose time is over, or `undefined`. Valid until the next call of `add`. */
  expire(now: number): ReassembledPacket | undefined {
    for (const slot of this.#slots) {
      if (slot.deadline === 0 || slot.deadline > now) continue;
      slot.deadline = 0;
      if (!slot.condemned) this.statistics.timeouts++;
      slot.length = slot.ranges.head;
      if (slot.hasFirst) setLength(slot);
      return slot;
    }
    return undefined;
  }

  #condemn(slot: ReassembledPacket): void {
    this.statistics.overlaps++;
    slot.condemned = true;
  }

  #slot(bytes: Uint8Array, header: number, identification: number, interfaceIndex: number, now: number) {
    const field = ipv6.field;
    let free: ReassembledPacket | undefined;
    let ofSource = 0;
    for (const slot of this.#slots) {
      if (slot.deadline === 0) {
        free ??= slot;
        continue;
      }
      if (!field.source.equals(bytes, header, slot.source)) continue;
      ofSource++;
      if (
        slot.identification === identification &&
        slot.interface === interfaceIndex &&
        field.destination.equals(bytes, header, slot.destination)
      ) {
        return slot;
      }
    }
    const source = field.source.get(bytes, header);
    if (ofSource >= this.#mostOfSource) free = this.#evict(source);
    else if (free === undefined && this.#slots.length < this.#capacity) {
      free = new ReassembledPacket(this.#mostFragments);
      this.#slots.push(free);
    }
    const slot = free ?? this.#evict(undefined);
    slot.source = source;
    slot.destination = field.destination.get(bytes, header);
    slot.identification = identification;
    slot.interface = interfaceIndex;
    slot.deadline = now + this.#lifetime;
    slot.headerOffset = 0;
    slot.length = -1;
    slot.condemned = false;
    slot.fragments = 0;
    slot.ecnSeen = 0;
    slot.ranges.clear();
    return slot;
  }

  /**
   * Makes room: the oldest datagram of `source`; without one, the oldest condemned one, else the oldest of the source
   * that holds most. So a source that floods pushes out itself.
   */
  #evict(source: IpAddress | undefined): ReassembledPacket {
    let victim: ReassembledPacket | undefined;
    let most = 0;
    for (const slot of this.#slots) {
      if (slot.deadline === 0 || (source !== undefined && !slot.source.equals(source))) continue;
      let weight = slot.condemned ? this.#capacity + 1 : 0;
      for (const other of this.#slots) if (other.deadline !== 0 && other.source.equals(slot.source)) weight++;
      if (victim !== undefined && (weight < most || (weight === most && slot.deadline >= victim.deadline))) continue;
      victim = slot;
      most = weight;
    }
    this.statistics.evicted++;
    if (victim === undefined) throw new TypeError("nothing to evict");
    return victim;
  }
}

/** What is wrong with a fragment by itself (RFC 8200 §4.5, RFC 7112 §5). */
function refuse(
  bytes: Uint8Array,
  at: number,
  end: number,
  start: number,
  more: boolean,
  chain: number,
): FragmentProblem | undefined {
  const length = end - at - fragment.size;
  if (more && (length & 7) !== 0) return "length";
  if (start + length + chain > mostBytes) return "too-long";
  if (start === 0 && !isCompleteChain(bytes, at + fragment.size, end, bytes[at] ?? 0)) return "incomplete-chain";
  return undefined;
}

/** Makes the header that of the whole packet. False when no such packet can be. */
function finish(slot: ReassembledPacket): boolean {
  const bytes = slot.page.bytes;
  const header = slot.headerOffset;
  if (payloadStart - header - ipv6.size + slot.length > mostBytes) return false;
  // RFC 3168 §5.3: a mark on any fragment is a mark on the packet, unless some fragment says "not capable".
  if ((slot.ecnSeen & 8) !== 0) {
    if ((slot.ecnSeen & 1) !== 0) return false;
    ipv6.field.ecn.set(bytes, header, 3);
  }
  setLength(slot);
  slot.page.reset();
  return true;
}

function setLength(slot: ReassembledPacket): void {
  ipv6.field.payloadLength.set(
    slot.page.bytes,
    slot.headerOffset,
    payloadStart - slot.headerOffset - ipv6.size + slot.length,
  );
}
