import { Page } from "@tesserae/device/page";
import { FragmentRanges } from "./fragment-ranges.ts";

export interface ReassemblyOptions {
  /** Datagrams in reassembly at once, 1–256. Each may come to hold 64 KiB. Default 16. */
  readonly capacity?: number;
  /** Fragments of one datagram, default 128: 64 KiB over a path MTU of 576. */
  readonly mostFragments?: number;
  /** Milliseconds from the first fragment until a datagram is given up. Default 30,000 for IPv4, 60,000 for IPv6. */
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
export abstract class ReassemblySlot {
  /** The packet as if it had come whole. */
  readonly page: Page;
  /** Where the payload is in the page. */
  readonly offset: number;
  /** Where the header is in the page, once the first fragment is there; 0 before. */
  headerOffset = 0;
  /** Payload bytes; −1 until the last fragment is there. */
  length = -1;
  /** Instant at which it is given up; 0 is a free slot. */
  deadline = 0;
  /** Keeps its place and swallows fragments, but will never be delivered. */
  condemned = false;
  fragments = 0;
  /** Bit n is set when a fragment with ECN bits n was seen. */
  ecnSeen = 0;
  readonly ranges: FragmentRanges;

  /** @param offset where the payload begins in the page: behind the longest header */
  constructor(offset: number, mostFragments: number) {
    this.offset = offset;
    this.page = new Page(new Uint8Array(offset + 65_536), 0);
    this.ranges = new FragmentRanges(mostFragments + 1);
  }

  /** Whether both come from one source. */
  abstract isFromSourceOf(other: this): boolean;

  get hasFirst(): boolean {
    return this.headerOffset !== 0;
  }

  get isComplete(): boolean {
    return this.length >= 0 && this.ranges.head === this.length;
  }

  /**
   * RFC 3168 §5.3: a mark on any fragment is a mark on the packet, unless some fragment says "not capable".
   *
   * @returns the ECN bits of the packet: 3, 0 for those of the first fragment, −1 when fragments contradict each other.
   */
  get ecn(): number {
    if ((this.ecnSeen & 8) === 0) return 0;
    return (this.ecnSeen & 1) !== 0 ? -1 : 3;
  }
}

/**
 * The datagrams in reassembly of one IP, bounded in number, in fragments of each, in datagrams of one source, and in
 * time. Fragments that contradict each other condemn their datagram, which then swallows the rest until its time is up.
 */
export abstract class ReassemblySlots<Slot extends ReassemblySlot> {
  readonly statistics = new ReassemblyStatistics();
  /** Free ones among them. Grows up to the capacity and stays: a slot's buffer is used again. */
  protected readonly slots: Slot[] = [];
  readonly #capacity: number;
  readonly #mostOfSource: number;
  readonly #mostFragments: number;
  readonly #lifetime: number;

  /**
   * @param lifetime milliseconds, where the options say nothing
   * @throws RangeError when an option is out of range.
   */
  constructor(options: ReassemblyOptions, lifetime: number) {
    this.#capacity = options.capacity ?? 16;
    this.#mostFragments = options.mostFragments ?? 128;
    this.#lifetime = options.lifetime ?? lifetime;
    if (!(this.#capacity >= 1 && this.#capacity <= 256)) throw new RangeError("capacity is not from 1 to 256");
    if (!(this.#mostFragments >= 2)) throw new RangeError("mostFragments is below 2");
    if (!(this.#lifetime > 0)) throw new RangeError("lifetime is not above 0");
    this.#mostOfSource = Math.max(1, this.#capacity >>> 2);
  }

  /** Datagrams in reassembly now. */
  get pending(): number {
    return this.slots.reduce((count, slot) => (slot.deadline === 0 ? count : count + 1), 0);
  }

  /** When the next datagram is to be given up, or `Infinity`. */
  nextDeadline(): number {
    let next = Infinity;
    for (const slot of this.slots) if (slot.deadline !== 0 && slot.deadline < next) next = slot.deadline;
    return next;
  }

  /** Gives up one datagram whose time is over, or `undefined`. Valid until the next call of `add`. */
  expire(now: number): Slot | undefined {
    for (const slot of this.slots) {
      if (slot.deadline === 0 || slot.deadline > now) continue;
      slot.deadline = 0;
      if (!slot.condemned) this.statistics.timeouts++;
      return slot;
    }
    return undefined;
  }

  /**
   * An empty slot for a datagram that no slot is for yet. The caller says whose it is.
   *
   * @param ofSource datagrams of its source in reassembly, and one of them
   */
  protected open(ofSource: number, sibling: Slot | undefined, now: number): Slot {
    const slot = ofSource >= this.#mostOfSource ? this.#evict(sibling) : (this.#free() ?? this.#evict(undefined));
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
   * The datagram, no longer in reassembly, when the piece just placed was its last missing one.
   *
   * @param join makes the headers those of the whole; false when no such packet can be
   */
  protected complete(slot: Slot, join: (slot: Slot) => boolean): Slot | undefined {
    if (!slot.isComplete) return undefined;
    slot.deadline = 0;
    if (!join(slot)) {
      this.statistics.refused++;
      return undefined;
    }
    this.statistics.reassembled++;
    return slot;
  }

  /**
   * Takes the payload `bytes[at … at + end − start)` of one fragment.
   *
   * @param more whether others follow it
   * @returns false when it is worth nothing: it was there, or the datagram is condemned.
   */
  protected place(
    slot: Slot,
    start: number,
    end: number,
    more: boolean,
    ecn: number,
    bytes: Uint8Array,
    at: number,
  ): boolean {
    const { statistics } = this;
    if (slot.condemned) return false;
    if (++slot.fragments > this.#mostFragments) {
      statistics.refused++;
      slot.condemned = true;
      return false;
    }
    const isBeyond = slot.length >= 0 && (end > slot.length || (!more && end !== slot.length));
    const contradicts = isBeyond || (!more && slot.ranges.end > end);
    const placed = contradicts ? "overlap" : slot.ranges.place(start, end, bytes, at, slot.page.bytes, slot.offset);
    if (placed === "overlap") {
      statistics.overlaps++;
      slot.condemned = true;
    } else if (placed === "duplicate") statistics.duplicates++;
    if (placed !== "placed") return false;
    slot.ecnSeen |= 1 << ecn;
    if (!more) slot.length = end;
    return true;
  }

  protected abstract make(mostFragments: number): Slot;

  #free(): Slot | undefined {
    const free = this.slots.find((slot) => slot.deadline === 0);
    if (free !== undefined || this.slots.length >= this.#capacity) return free;
    const made = this.make(this.#mostFragments);
    this.slots.push(made);
    return made;
  }

  /**
   * Makes room: the oldest datagram of the sibling's source; without one, the oldest condemned one, else the oldest of
   * the source that holds most. So a source that floods pushes out itself.
   */
  #evict(sibling: Slot | undefined): Slot {
    let victim: Slot | undefined;
    let most = 0;
    for (const slot of this.slots) {
      if (slot.deadline === 0 || (sibling !== undefined && !slot.isFromSourceOf(sibling))) continue;
      let weight = slot.condemned ? this.#capacity + 1 : 0;
      for (const other of this.slots) if (other.deadline !== 0 && other.isFromSourceOf(slot)) weight++;
      if (victim !== undefined && (weight < most || (weight === most && slot.deadline >= victim.deadline))) continue;
      victim = slot;
      most = weight;
    }
    this.statistics.evicted++;
    if (victim === undefined) throw new TypeError("nothing to evict");
    return victim;
  }
}
