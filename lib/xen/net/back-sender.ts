import { checksumVerified, needsChecksum, type Page } from "@tesserae/device/page";
import { completeChecksum } from "@tesserae/wire/complete-checksum";
import { pageSize, type CopyBatch } from "../grant.ts";
import type { BackRing } from "../ring.ts";
import type { FramePages } from "./frame-pages.ts";
import type { SendOffloads } from "./front-sender.ts";
import { isFound, isIpv6 } from "./offload.ts";
import {
  Entry,
  readReceiveRequest,
  receiveFlag,
  segmentationType,
  status,
  writeReceiveResponse,
  writeSegmentation,
} from "./wire.ts";

/** Copies at once: of a piece, up to two. */
export const sendCopies = 128;

/**
 * The back end's half of a receive ring: copies frames into the pages that the guest offers. Frames for which there are
 * none wait, in the pages that they were built in.
 */
export class BackSender {
  /** What the front end did wrong: the ring is over. */
  violation: string | undefined;
  readonly #ring: BackRing;
  readonly #view: DataView;
  readonly #domain: number;
  readonly #batch: CopyBatch;
  readonly #pages: FramePages;
  readonly #offloads: SendOffloads;
  readonly #entry = new Entry();

  // Frames that wait, in a circle.
  readonly #waiting: (Page | undefined)[];
  readonly #offsets: Int32Array;
  readonly #lengths: Int32Array;
  #first = 0;
  #count = 0;
  /** Of those, how many from the first on are in the batch. */
  #batched = 0;

  // Of each entry of the batch: its id, flags and bytes, and where its copies end. Of extra information the bytes are
  // those of a segment, negated, and the flags its type.
  readonly #ids = new Uint16Array(sendCopies + 2);
  readonly #flags = new Uint8Array(sendCopies + 2);
  readonly #sizes = new Int32Array(sendCopies + 2);
  readonly #copyEnds = new Int32Array(sendCopies + 2);
  #entries = 0;

  /** @param batch of at least {@link sendCopies} operations */
  constructor(ring: BackRing, domain: number, batch: CopyBatch, pages: FramePages, offloads: SendOffloads) {
    this.#ring = ring;
    this.#view = new DataView(ring.bytes.buffer, ring.bytes.byteOffset, ring.bytes.length);
    this.#domain = domain;
    this.#batch = batch;
    this.#pages = pages;
    this.#offloads = offloads;
    this.#waiting = new Array<Page | undefined>(pages.capacity).fill(undefined);
    this.#offsets = new Int32Array(pages.capacity);
    this.#lengths = new Int32Array(pages.capacity);
  }

  /** Frames that wait for the guest to offer pages. */
  get waiting(): number {
    return this.#count;
  }

  /** Queues a frame for {@link BackSender.copy}. There is a place for each page. */
  send(page: Page, offset: number, length: number): void {
    const index = (this.#first + this.#count++) % this.#waiting.length;
    this.#waiting[index] = page;
    this.#offsets[index] = offset;
    this.#lengths[index] = length;
    this.#completeChecksum(page, offset, length);
  }

  #completeChecksum(page: Page, offset: number, length: number): void {
    if ((page.flags & needsChecksum) === 0) return;
    const { checksum4, checksum6 } = this.#offloads;
    if ((isIpv6(page.bytes, offset) ? checksum6 : checksum4) && isFound(page, offset, length)) return;
    completeChecksum(page.bytes, offset, length, page.checksumStart, page.checksumOffset);
    page.flags &= ~needsChecksum;
  }

  /** Copies frames as far as the guest has offered pages. @returns whether it wants to be notified */
  copy(): boolean {
    if (this.violation !== undefined) return false;
    let isWanted = false;
    for (let more = true; more && this.#count > 0;) {
      more = this.#collect();
      if (this.#batched === 0) break;
      this.#batch.run();
      this.#answer();
      isWanted = this.#ring.push() || isWanted;
    }
    return isWanted;
  }

  /** Lists the copies of the frames that wait. @returns whether some are left for which there are pages */
  #collect(): boolean {
    this.#batch.clear();
    this.#entries = 0;
    this.#batched = 0;
    while (this.#batched < this.#count) {
      const index = (this.#first + this.#batched) % this.#waiting.length;
      const page = this.#waiting[index];
      if (page === undefined) return false;
      const needed = Math.ceil((this.#lengths[index] ?? 0) / pageSize) + (page.segmentSize > 0 ? 1 : 0);
      // Each entry has two copies at most.
      if (this.#batch.length + 2 * needed > sendCopies || this.#entries + needed > sendCopies) return true;
      // Fewer than needed: an event comes when there are enough.
      if (!this.#ring.finalCheck(needed)) return false;
      if (this.#ring.available < needed) {
        this.violation = "the receive ring has more requests than fit";
        return false;
      }
      this.#add(page, this.#offsets[index] ?? 0, this.#lengths[index] ?? 0);
      this.#batched++;
    }
    return false;
  }

  #add(page: Page, offset: number, length: number): void {
    const memory = this.#pages.isLong(page) && this.#pages.long !== undefined ? this.#pages.long : this.#pages.short;
    const isCut = page.segmentSize > 0;
    let at = this.#pages.startOf(page) + offset;
    let flags = 0;
    if ((page.flags & needsChecksum) !== 0) flags = receiveFlag.checksumBlank | receiveFlag.dataValidated;
    else if ((page.flags & checksumVerified) !== 0) flags = receiveFlag.dataValidated;
    if (isCut) flags |= receiveFlag.extraInfo;
    for (let rest = length, index = 0; rest > 0; index++) {
      const piece = Math.min(rest, pageSize);
      rest -= piece;
      const reference = this.#take(flags | (rest > 0 ? receiveFlag.moreData : 0), piece);
      for (let copied = 0; copied < piece;) {
        const part = Math.min(piece - copied, pageSize - (at & (pageSize - 1)));
        this.#batch.addTo(memory, at, this.#domain, reference, copied, part);
        copied += part;
        at += part;
      }
      this.#copyEnds[this.#entries - 1] = this.#batch.length;
      if (index === 0 && isCut) {
        const type = isIpv6(page.bytes, offset) ? segmentationType.tcp6 : segmentationType.tcp4;
        this.#take(type, -page.segmentSize);
      }
      flags = 0;
    }
  }

  /** Takes a request. @returns the reference of the page that it offers */
  #take(flags: number, size: number): number {
    readReceiveRequest(this.#view, this.#ring.nextRequest(), this.#entry);
    const index = this.#entries++;
    this.#ids[index] = this.#entry.id;
    this.#flags[index] = flags;
    this.#sizes[index] = size;
    return this.#entry.reference;
  }

  /** Answers the requests of the batch, and gives its pages back. */
  #answer(): void {
    let copy = 0;
    for (let entry = 0; entry < this.#entries; entry++) {
      const size = this.#sizes[entry] ?? 0;
      const flags = this.#flags[entry] ?? 0;
      const at = this.#ring.nextResponse();
      if (size < 0) {
        writeSegmentation(this.#view, at, -size, flags);
        continue;
      }
      let isGood = true;
      for (const end = this.#copyEnds[entry] ?? 0; copy < end; copy++) isGood &&= this.#batch.status(copy) === 0;
      writeReceiveResponse(this.#view, at, this.#ids[entry] ?? 0, 0, flags, isGood ? size : status.error);
    }
    for (; this.#batched > 0; this.#batched--) this.#shift();
  }

  /** Gives back the page of the first frame. */
  #shift(): void {
    const page = this.#waiting[this.#first];
    this.#waiting[this.#first] = undefined;
    this.#first = (this.#first + 1) % this.#waiting.length;
    this.#count--;
    if (page !== undefined) this.#pages.release(page);
  }

  /** Gives up what waits: the ring is over. */
  abandon(): void {
    while (this.#count > 0) this.#shift();
  }
}
