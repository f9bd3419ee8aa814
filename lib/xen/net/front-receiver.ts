import type { FrameHandler } from "@tesserae/device/netif";
import { checksumVerified, Page } from "@tesserae/device/page";
import { pageSize } from "../grant.ts";
import type { FrontRing } from "../ring.ts";
import { markBlank, markSegmented } from "./offload.ts";
import {
  Entry,
  ExtraInfo,
  extraType,
  longestFrame,
  readExtraInfo,
  readReceiveResponse,
  receiveFlag,
  segmentationType,
  writeReceiveRequest,
} from "./wire.ts";

const ethernetHeader = 14;
/** Pieces of one frame: more than a back end needs for the longest. */
const mostFragments = 32;

/** What is counted for all queues, and who gets the frames. */
export interface Reception {
  readonly handler: FrameHandler | undefined;
  receivedFrames: number;
  receivedBytes: number;
  droppedReceived: number;
}

/**
 * The front end's half of a receive ring. Each entry has a page of its own, of the same number: the back end answers
 * in the order of the requests, so a long frame lies in pages side by side and is handed on in place.
 */
export class FrontReceiver {
  /** What the back end did wrong: the ring is over. */
  violation: string | undefined;
  readonly #ring: FrontRing;
  readonly #view: DataView;
  readonly #references: Uint32Array;
  readonly #reception: Reception;
  /** All memory is one page: the offset tells entries apart. */
  readonly #page: Page;
  /** Memory behind the pages, for frames whose pieces do not lie side by side. */
  #scratch: Page | undefined;
  readonly #entry = new Entry();
  readonly #extra = new ExtraInfo();
  #posted = 0;
  #taken = 0;

  // The frame at hand, whose pieces may come in several rounds.
  readonly #starts = new Int32Array(mostFragments);
  readonly #lengths = new Int32Array(mostFragments);
  #fragments = 0;
  #entries = 0;
  #total = 0;
  #flags = 0;
  #segmentSize = 0;
  #isBad = false;
  /** What the next entry is. */
  #expectsExtra = false;
  #expectsData = false;
  /** Entry with extra information, whose page is free: −1 or its start. */
  #spare = -1;

  /**
   * @param memory a page for each entry of the ring
   * @param references of the pages, as the back end was given them
   */
  constructor(ring: FrontRing, memory: Uint8Array, references: Uint32Array, reception: Reception) {
    this.#ring = ring;
    this.#view = new DataView(ring.bytes.buffer, ring.bytes.byteOffset, ring.bytes.length);
    this.#references = references;
    this.#reception = reception;
    this.#page = new Page(memory, 0);
  }

  /** Offers every page that is free. They are not published yet. */
  offer(): void {
    const ring = this.#ring;
    while (ring.free > 0) {
      const id = this.#posted++ & (ring.capacity - 1);
      writeReceiveRequest(this.#view, ring.nextRequest(), id, this.#references[id] ?? 0);
    }
  }

  /** Lets the back end see what was offered. @returns whether it wants to be notified */
  publish(): boolean {
    return this.#ring.push();
  }

  /** Asks for an event at the next frame. @returns false: there is something already */
  arm(): boolean {
    return !this.#ring.finalCheck();
  }

  /** Hands on at most `most` frames. Returns how many there were. */
  receive(most: number): number {
    const ring = this.#ring;
    let available = this.violation === undefined ? ring.available : 0;
    if (available < 0) this.violation = "the receive ring has more responses than requests";
    let count = 0;
    for (; available > 0 && count < most; available--) {
      const at = ring.nextResponse();
      const slot = this.#taken++ & (ring.capacity - 1);
      if (!this.#take(at, slot)) return count;
      if (this.#expectsExtra || this.#expectsData) continue;
      count++;
      try {
        this.#finish();
      } finally {
        this.#begin();
        // Only now: what was handed on lay in the pages.
        this.offer();
      }
    }
    return count;
  }

  /** One entry. @returns false when the back end broke the rules */
  #take(at: number, slot: number): boolean {
    // A frame cannot take all entries: the back end would wait for free ones for ever.
    if (++this.#entries > mostFragments) return this.#broke("a received frame of too many entries");
    if (this.#expectsExtra) return this.#takeExtra(at, slot);
    const entry = this.#entry;
    readReceiveResponse(this.#view, at, entry);
    const { id, offset, flags, size } = entry;
    if (id !== slot) return this.#broke(`a receive response with id ${String(id)} in place of ${String(slot)}`);
    if (size < 0) this.#isBad = true;
    else if (offset + size > pageSize) {
      return this.#broke(`a receive response of ${String(size)} bytes at ${String(offset)} of its page`);
    }
    if (this.#fragments === 0) {
      this.#flags = flags;
      this.#expectsExtra = (flags & receiveFlag.extraInfo) !== 0;
    }
    this.#starts[this.#fragments] = slot * pageSize + offset;
    this.#lengths[this.#fragments++] = Math.max(0, size);
    this.#total += Math.max(0, size);
    this.#expectsData = (flags & receiveFlag.moreData) !== 0;
    return this.#total <= longestFrame + ethernetHeader || this.#broke("a received frame longer than 65,549 bytes");
  }

  #takeExtra(at: number, slot: number): boolean {
    const extra = this.#extra;
    readExtraInfo(this.#view, at, extra);
    this.#expectsExtra = extra.hasMore;
    this.#spare = slot * pageSize;
    if (extra.type !== extraType.segmentation) {
      return extra.type === extraType.hash || this.#broke(`extra information of type ${String(extra.type)}`);
    }
    const { segmentationType: type, segmentSize } = extra;
    if (segmentSize === 0) return this.#broke("a received frame to be cut into segments of 0 bytes");
    if (type !== segmentationType.tcp4 && type !== segmentationType.tcp6) {
      return this.#broke(`segmentation of type ${String(type)}`);
    }
    this.#segmentSize = segmentSize;
    return true;
  }

  #begin(): void {
    this.#fragments = 0;
    this.#entries = 0;
    this.#total = 0;
    this.#flags = 0;
    this.#segmentSize = 0;
    this.#isBad = false;
    this.#spare = -1;
  }

  /** The frame is whole. */
  #finish(): void {
    const reception = this.#reception;
    const { handler } = reception;
    const total = this.#total;
    const start = handler === undefined || this.#isBad || total < ethernetHeader ? -1 : this.#join();
    const page = start === this.#scratchStart ? (this.#scratch ?? this.#page) : this.#page;
    if (handler === undefined || start < 0 || !this.#describe(page, page === this.#page ? start : 0, total)) {
      reception.droppedReceived++;
      return;
    }
    reception.receivedFrames++;
    reception.receivedBytes += total;
    handler(page, page === this.#page ? start : 0, total);
  }

  /** What {@link FrontReceiver.#join} returns for a frame in `#scratch`. */
  get #scratchStart(): number {
    return this.#page.bytes.length;
  }

  /** Where the frame lies in one piece. */
  #join(): number {
    const starts = this.#starts;
    const lengths = this.#lengths;
    const { bytes } = this.#page;
    const first = starts[0] ?? 0;
    const count = this.#fragments;
    if (count === 1) return first;
    let end = starts[1] ?? 0;
    const second = end;
    for (let index = 1; index < count; index++) {
      if (starts[index] !== end) return this.#copyOut();
      end += lengths[index] ?? 0;
    }
    const length = lengths[0] ?? 0;
    if (first + length === second) return first;
    // The page in front of the second piece held extra information, which is elsewhere: it has room for the first.
    if (this.#spare < 0 || this.#spare + pageSize !== second) return this.#copyOut();
    const start = second - length;
    bytes.copyWithin(start, first, first + length);
    return start;
  }

  #copyOut(): number {
    this.#scratch ??= new Page(new Uint8Array(longestFrame + ethernetHeader), 1);
    let at = 0;
    for (let index = 0; index < this.#fragments; index++) {
      const start = this.#starts[index] ?? 0;
      const length = this.#lengths[index] ?? 0;
      this.#scratch.bytes.set(this.#page.bytes.subarray(start, start + length), at);
      at += length;
    }
    return this.#scratchStart;
  }

  /** Fills in the page's metadata. */
  #describe(page: Page, start: number, length: number): boolean {
    page.reset();
    const flags = this.#flags;
    if (this.#segmentSize > 0) {
      return markBlank(page, start, length) && markSegmented(page, start, length, this.#segmentSize);
    }
    if ((flags & receiveFlag.checksumBlank) !== 0) {
      // Without a place for a checksum there is none that is left out.
      markBlank(page, start, length);
    } else if ((flags & receiveFlag.dataValidated) !== 0) page.flags = checksumVerified;
    return true;
  }

  #broke(how: string): false {
    this.violation = how;
    return false;
  }
}
