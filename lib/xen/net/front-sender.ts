import { needsChecksum, type Page, checksumVerified } from "@tesserae/device/page";
import { completeChecksum } from "@tesserae/wire/complete-checksum";
import { pageSize } from "../grant.ts";
import type { FrontRing } from "../ring.ts";
import type { FramePages } from "./frame-pages.ts";
import { isFound, isIpv6 } from "./offload.ts";
import {
  Entry,
  mostPieces,
  readTransmitResponse,
  segmentationType,
  status,
  transmitFlag,
  writeSegmentation,
  writeTransmitRequest,
} from "./wire.ts";

/** References of the pages that frames are built in, as the other end was given them. */
export interface FrameGrants {
  readonly short: Uint32Array;
  readonly long: Uint32Array | undefined;
}

/** What the back end does with frames that are sent to it. */
export interface SendOffloads {
  readonly checksum4: boolean;
  readonly checksum6: boolean;
}

/** The front end's half of a transmit ring: frames go out in the pages that they were built in. */
export class FrontSender {
  /** What the back end did wrong: the ring is over. */
  violation: string | undefined;
  /** Frames that the back end did not take. */
  refused = 0;
  readonly #ring: FrontRing;
  readonly #view: DataView;
  readonly #pages: FramePages;
  readonly #grants: FrameGrants;
  readonly #offloads: SendOffloads;
  /** Of each id in flight: the page of its frame. */
  readonly #pageOf: (Page | undefined)[];
  readonly #freeIds: Uint16Array;
  #free: number;
  /** Of each page, by its number: requests that have not been answered. */
  readonly #left: Uint8Array;
  /** Requests with extra information that have not been answered. */
  #extras = 0;
  readonly #entry = new Entry();

  constructor(ring: FrontRing, pages: FramePages, grants: FrameGrants, offloads: SendOffloads) {
    this.#ring = ring;
    this.#view = new DataView(ring.bytes.buffer, ring.bytes.byteOffset, ring.bytes.length);
    this.#pages = pages;
    this.#grants = grants;
    this.#offloads = offloads;
    this.#pageOf = new Array<Page | undefined>(ring.capacity).fill(undefined);
    this.#freeIds = new Uint16Array(ring.capacity);
    for (let id = 0; id < ring.capacity; id++) this.#freeIds[id] = ring.capacity - 1 - id;
    this.#free = ring.capacity;
    this.#left = new Uint8Array(pages.capacity);
  }

  /** Requests that the back end has not answered, as far as was looked. */
  get inFlight(): number {
    return this.#ring.inFlight;
  }

  /**
   * Puts a frame of at least one byte into the ring; it is not published yet.
   *
   * @returns false, and the page stays the caller's, when there is no room
   */
  send(page: Page, offset: number, length: number): boolean {
    const start = this.#pages.startOf(page) + offset;
    const first = Math.floor(start / pageSize);
    const count = Math.floor((start + length - 1) / pageSize) - first + 1;
    const { segmentSize } = page;
    const extra = segmentSize > 0 ? 1 : 0;
    const ring = this.#ring;
    if (ring.free < count + extra) this.reap();
    if (ring.free < count + extra || count > mostPieces || this.violation !== undefined) return false;
    const references = this.#pages.isLong(page) ? this.#grants.long : this.#grants.short;
    if (references === undefined) return false;
    let flags = this.#checksumFlags(page, offset, length) | (extra === 1 ? transmitFlag.extraInfo : 0);
    // The first entry has the size of the whole frame.
    let size = length;
    let within = start & (pageSize - 1);
    let rest = length;
    for (let index = 0; index < count; index++) {
      const part = Math.min(rest, pageSize - within);
      rest -= part;
      if (index > 0) size = part;
      const more = rest > 0 ? transmitFlag.moreData : 0;
      const id = this.#freeIds[--this.#free] ?? 0;
      this.#pageOf[id] = page;
      writeTransmitRequest(
        this.#view,
        ring.nextRequest(),
        references[first + index] ?? 0,
        within,
        flags | more,
        id,
        size,
      );
      if (index === 0 && extra === 1) {
        const type = isIpv6(page.bytes, offset) ? segmentationType.tcp6 : segmentationType.tcp4;
        writeSegmentation(this.#view, ring.nextRequest(), segmentSize, type);
        this.#extras++;
      }
      flags = 0;
      within = 0;
    }
    this.#left[this.#pages.numberOf(page)] = count;
    return true;
  }

  #checksumFlags(page: Page, offset: number, length: number): number {
    if ((page.flags & needsChecksum) === 0) {
      return (page.flags & checksumVerified) !== 0 ? transmitFlag.dataValidated : 0;
    }
    const { checksum4, checksum6 } = this.#offloads;
    if ((isIpv6(page.bytes, offset) ? checksum6 : checksum4) && isFound(page, offset, length)) {
      return transmitFlag.checksumBlank | transmitFlag.dataValidated;
    }
    completeChecksum(page.bytes, offset, length, page.checksumStart, page.checksumOffset);
    return 0;
  }

  /** Lets the back end see what was sent. @returns whether it wants to be notified */
  publish(): boolean {
    return this.#ring.push();
  }

  /** Takes back the pages of frames that the back end has taken. */
  reap(): void {
    const ring = this.#ring;
    let count = this.violation === undefined ? ring.available : 0;
    if (count < 0) this.violation = "the transmit ring has more responses than requests";
    for (; count > 0; count--) {
      const entry = this.#entry;
      readTransmitResponse(this.#view, ring.nextResponse(), entry);
      const { id, size } = entry;
      if (size === status.none) {
        if (this.#extras === 0) {
          this.violation = `a transmit response without status, for no extra information`;
          return;
        }
        this.#extras--;
        continue;
      }
      const page = id < this.#pageOf.length ? this.#pageOf[id] : undefined;
      if (page === undefined) {
        this.violation = `a transmit response with id ${String(id)}, which is not in flight`;
        return;
      }
      this.#pageOf[id] = undefined;
      this.#freeIds[this.#free++] = id;
      const number = this.#pages.numberOf(page);
      const left = (this.#left[number] ?? 1) - 1;
      this.#left[number] = left;
      if (left > 0) continue;
      if (size < 0) this.refused++;
      this.#pages.release(page);
    }
  }

  /** Gives up what is in flight: the ring is over, and the pages go back. */
  abandon(): void {
    for (let id = 0; id < this.#pageOf.length; id++) {
      const page = this.#pageOf[id];
      this.#pageOf[id] = undefined;
      if (page === undefined) continue;
      const number = this.#pages.numberOf(page);
      const left = (this.#left[number] ?? 1) - 1;
      this.#left[number] = left;
      if (left === 0) this.#pages.release(page);
    }
  }
}
