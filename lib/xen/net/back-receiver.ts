import { checksumVerified, Page } from "@tesserae/device/page";
import { pageSize, type CopyBatch, type SharedPages } from "../grant.ts";
import type { BackRing } from "../ring.ts";
import type { Reception } from "./front-receiver.ts";
import { markBlank, markSegmented } from "./offload.ts";
import {
  Entry,
  ExtraInfo,
  extraType,
  longestFrame,
  mostPieces,
  readExtraInfo,
  readTransmitRequest,
  segmentationType,
  status,
  transmitFlag,
  writeTransmitResponse,
} from "./wire.ts";

const ethernetHeader = 14;
/** Entries with extra information in front of one frame: one of each type. */
const mostExtras = 4;
/** Frames copied at once. */
const mostFrames = 64;
/** Pages of memory into which they are copied: several of the longest. */
export const landingPages = 64;
/** Copies at once: each piece lies across two pages of ours at most. */
export const receiveCopies: number = mostFrames * 2 + mostPieces * 2;
/** IP headers are then on a multiple of 4. */
const alignment = 2;

/**
 * The back end's half of a transmit ring: copies the guest's frames, a batch at a time, and hands them on. Nothing of
 * the guest's memory is looked at twice.
 */
export class BackReceiver {
  /** What the front end did wrong: the ring is over. */
  violation: string | undefined;
  readonly #ring: BackRing;
  readonly #view: DataView;
  readonly #domain: number;
  readonly #batch: CopyBatch;
  readonly #landing: SharedPages;
  /** All of the landing memory is one page: the offset tells frames apart. */
  readonly #page: Page;
  readonly #reception: Reception;
  readonly #entry = new Entry();
  readonly #extra = new ExtraInfo();

  // Of each frame of the batch.
  readonly #starts = new Int32Array(mostFrames);
  readonly #lengths = new Int32Array(mostFrames);
  readonly #flags = new Uint8Array(mostFrames);
  readonly #segmentSizes = new Uint16Array(mostFrames);
  /** Its entries in `#ids`, and its operations, end where those of the next one begin. */
  readonly #entryEnds = new Int32Array(mostFrames);
  readonly #copyEnds = new Int32Array(mostFrames);
  #frames = 0;
  /** The id of each entry, or −1 for extra information. */
  readonly #ids: Int32Array;
  #entries = 0;
  #used = 0;

  // The pieces of the frame at hand.
  readonly #references = new Uint32Array(mostPieces);
  readonly #offsets = new Uint16Array(mostPieces);
  readonly #sizes = new Int32Array(mostPieces);
  #pieces = 0;

  /**
   * @param batch of at least {@link receiveCopies} operations
   * @param landing at least {@link landingPages} pages
   */
  constructor(ring: BackRing, domain: number, batch: CopyBatch, landing: SharedPages, reception: Reception) {
    this.#ring = ring;
    this.#view = new DataView(ring.bytes.buffer, ring.bytes.byteOffset, ring.bytes.length);
    this.#domain = domain;
    this.#batch = batch;
    this.#landing = landing;
    this.#page = new Page(landing.bytes, 0);
    this.#reception = reception;
    this.#ids = new Int32Array(ring.capacity);
  }

  /** Asks for an event at the next frame. @returns false: there is something already */
  arm(): boolean {
    return !this.#ring.finalCheck();
  }

  /** Lets the front end see what was answered. @returns whether it wants to be notified */
  publish(): boolean {
    return this.#ring.push();
  }

  /** Takes up to `most` frames, of which no more than a batch at once. Returns how many there were. */
  receive(most: number): number {
    let count = 0;
    while (count < most && this.violation === undefined) {
      const collected = this.#collect(Math.min(most - count, mostFrames));
      if (collected === 0) break;
      count += collected;
      this.#batch.run();
      this.#handOn();
    }
    return count;
  }

  /** Reads the requests of frames and lists the copies. @returns how many frames */
  #collect(most: number): number {
    this.#frames = 0;
    this.#entries = 0;
    this.#used = 0;
    this.#batch.clear();
    const room = this.#landing.bytes.length - longestFrame - alignment - 4;
    while (this.#frames < most && this.#used <= room && this.#batch.length <= mostFrames * 2) {
      const available = this.#ring.available;
      if (available < 0) this.violation = "the transmit ring has more requests than fit";
      if (available <= 0 || !this.#takeFrame(available)) break;
    }
    return this.#frames;
  }

  /** @returns false when the front end broke the rules */
  #takeFrame(available: number): boolean {
    let left = available - 1;
    const entry = this.#entry;
    readTransmitRequest(this.#view, this.#ring.nextRequest(), entry);
    const { flags, id } = entry;
    const total = entry.size;
    const { reference, offset } = entry;
    this.#ids[this.#entries++] = id;
    let segmentSize = 0;
    let isAuxiliary = false;
    let hasMore = (flags & transmitFlag.extraInfo) !== 0;
    for (let count = 0; hasMore; count++) {
      if (count === mostExtras) return this.#broke("extra information that does not end");
      if (left-- === 0) return this.#broke("extra information that is announced and missing");
      const extra = this.#extra;
      readExtraInfo(this.#view, this.#ring.nextRequest(), extra);
      this.#ids[this.#entries++] = -1;
      hasMore = extra.hasMore;
      if (extra.type === extraType.segmentation) {
        segmentSize = extra.segmentSize;
        if (segmentSize === 0) return this.#broke("a frame to be cut into segments of 0 bytes");
        const type = extra.segmentationType;
        if (type !== segmentationType.tcp4 && type !== segmentationType.tcp6) {
          return this.#broke(`segmentation of type ${String(type)}`);
        }
      } else if (extra.type === extraType.multicastAdd || extra.type === extraType.multicastRemove) isAuxiliary = true;
      else if (extra.type !== extraType.hash) return this.#broke(`extra information of type ${String(extra.type)}`);
    }
    // The first entry has the size of the whole frame: its own is what the others leave.
    this.#pieces = 0;
    let first = total;
    for (let more = (flags & transmitFlag.moreData) !== 0; more;) {
      if (this.#pieces + 1 === mostPieces) return this.#broke(`a frame of more than ${String(mostPieces)} pieces`);
      if (left-- === 0) return this.#broke("a piece of a frame that is announced and missing");
      readTransmitRequest(this.#view, this.#ring.nextRequest(), entry);
      this.#ids[this.#entries++] = entry.id;
      first -= entry.size;
      if (!this.#addPiece(this.#pieces + 1, entry.reference, entry.offset, entry.size)) return false;
      this.#pieces++;
      more = (entry.flags & transmitFlag.moreData) !== 0;
    }
    if (first < 0) return this.#broke(`a frame of ${String(total)} bytes with longer pieces`);
    if (!isAuxiliary && !this.#addPiece(0, reference, offset, first)) return false;
    this.#pieces++;
    // Multicast lists are not offered; such a request has no frame.
    this.#addFrame(isAuxiliary || total < ethernetHeader ? 0 : total, flags, segmentSize);
    return true;
  }

  #addPiece(index: number, reference: number, offset: number, size: number): boolean {
    if (offset + size > pageSize) {
      return this.#broke(`a piece of ${String(size)} bytes at ${String(offset)} of its page`);
    }
    this.#references[index] = reference;
    this.#offsets[index] = offset;
    this.#sizes[index] = size;
    return true;
  }

  /** @param length 0: refused, and nothing is copied */
  #addFrame(length: number, flags: number, segmentSize: number): void {
    const frame = this.#frames++;
    const start = ((this.#used + 3) & ~3) + alignment;
    if (length > 0) {
      let at = start;
      for (let piece = 0; piece < this.#pieces; piece++) {
        let from = this.#offsets[piece] ?? 0;
        for (let rest = this.#sizes[piece] ?? 0; rest > 0;) {
          const part = Math.min(rest, pageSize - (at & (pageSize - 1)));
          this.#batch.addFrom(this.#domain, this.#references[piece] ?? 0, from, this.#landing, at, part);
          at += part;
          from += part;
          rest -= part;
        }
      }
      this.#used = at;
    }
    this.#starts[frame] = start;
    this.#lengths[frame] = length;
    this.#flags[frame] = flags;
    this.#segmentSizes[frame] = segmentSize;
    this.#entryEnds[frame] = this.#entries;
    this.#copyEnds[frame] = this.#batch.length;
  }

  /** Hands on the frames that were copied, and answers all. */
  #handOn(): void {
    let copy = 0;
    let entry = 0;
    for (let frame = 0; frame < this.#frames; frame++) {
      const length = this.#lengths[frame] ?? 0;
      let isGood = length > 0;
      for (const end = this.#copyEnds[frame] ?? 0; copy < end; copy++) isGood &&= this.#batch.status(copy) === 0;
      const result = isGood ? status.okay : status.error;
      for (const end = this.#entryEnds[frame] ?? 0; entry < end; entry++) {
        const id = this.#ids[entry] ?? 0;
        writeTransmitResponse(this.#view, this.#ring.nextResponse(), id < 0 ? 0 : id, id < 0 ? status.none : result);
      }
      if (isGood) this.#deliver(frame, this.#starts[frame] ?? 0, length);
      else this.#reception.droppedReceived++;
    }
  }

  #deliver(frame: number, start: number, length: number): void {
    const reception = this.#reception;
    const { handler } = reception;
    if (handler === undefined || !this.#describe(frame, start, length)) {
      reception.droppedReceived++;
      return;
    }
    reception.receivedFrames++;
    reception.receivedBytes += length;
    handler(this.#page, start, length);
  }

  /** Fills in the page's metadata. */
  #describe(frame: number, start: number, length: number): boolean {
    const page = this.#page;
    const flags = this.#flags[frame] ?? 0;
    const segmentSize = this.#segmentSizes[frame] ?? 0;
    page.reset();
    if (segmentSize > 0) return markBlank(page, start, length) && markSegmented(page, start, length, segmentSize);
    if ((flags & transmitFlag.checksumBlank) !== 0) {
      // Without a place for a checksum there is none that is left out.
      markBlank(page, start, length);
    } else if ((flags & transmitFlag.dataValidated) !== 0) page.flags = checksumVerified;
    return true;
  }

  #broke(how: string): false {
    this.violation = how;
    return false;
  }
}
