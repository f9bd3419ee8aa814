import { BlockError } from "@tesserae/device/block";
import type { DeviceNodes } from "../bus/other-end.ts";
import type { XenDomain } from "../domain.ts";
import type { EventChannel } from "../event-channel.ts";
import { pageSize, type SharedPages } from "../grant.ts";
import type { Reclaimer } from "../reclaim.ts";
import { FrontRing } from "../ring.ts";
import { XenError } from "../xen-error.ts";
import type { Operation } from "./operation.ts";
import {
  directSegments,
  entrySize,
  operation,
  responseStatus,
  segmentSize,
  segmentsOfPage,
  unit,
  unitsOfPage,
  writeDirectSegment,
  writeDiscardLength,
  writeHead,
  writeIndirectHead,
  writeIndirectPage,
  writeSegment,
} from "./wire.ts";

/** What a back end can. */
export interface QueueAbilities {
  readonly flush: "flush" | "barrier" | "none";
  readonly discard: boolean;
  /** Pages of data in one request. */
  readonly segments: number;
}

export interface FrontQueueOptions {
  /** The domain of the back end. */
  readonly back: number;
  /** Pages of the ring, as a logarithm. */
  readonly order: number;
  /** Pages of data. */
  readonly pages: number;
  readonly abilities: QueueAbilities;
  /** The back end broke the protocol. */
  readonly failed: (reason: XenError) => void;
  /** Of the back end, for messages. */
  readonly path: string;
}

/** A request in the ring, by its id. */
class Slot {
  operation: Operation | undefined;
  kind = 0;
  /** Of the operation's bytes. */
  offset = 0;
  length = 0;
  readonly pages: Int32Array;
  pageCount = 0;

  constructor(segments: number) {
    this.pages = new Int32Array(segments);
  }
}

/**
 * One ring of a front end, and the pages that data goes through: they are granted once, and used again and again, those
 * used last first.
 */
export class FrontQueue {
  readonly #options: FrontQueueOptions;
  readonly #reclaimer: Reclaimer;
  readonly #ring: FrontRing;
  readonly #view: DataView;
  readonly #channel: EventChannel;
  readonly #ringPages: SharedPages;
  readonly #data: SharedPages;
  /** One page for each slot where segments do not fit in requests. */
  readonly #indirect: SharedPages | undefined;
  readonly #indirectView: DataView | undefined;
  readonly #ringReferences: number[] = [];
  readonly #references: number[] = [];
  readonly #indirectReferences: number[] = [];
  readonly #slots: readonly Slot[];
  readonly #freeSlots: number[] = [];
  readonly #freePages: number[] = [];
  #waiting: Operation[] = [];
  #hasBegun = false;
  #isOver = false;
  #abilities: QueueAbilities;

  /** @throws XenError `exhausted`: nothing stays granted then. */
  constructor(domain: XenDomain, reclaimer: Reclaimer, options: FrontQueueOptions) {
    const { back, order, pages, abilities } = options;
    this.#options = options;
    this.#reclaimer = reclaimer;
    this.#abilities = abilities;
    const allocated: (readonly [SharedPages, number[]])[] = [];
    const share = (count: number, references: number[], access: "read-only" | "read-write"): SharedPages => {
      const memory = domain.allocate(count);
      allocated.push([memory, references]);
      for (let page = 0; page < count; page++) references.push(domain.grants.grant(memory, page, back, access));
      return memory;
    };
    try {
      this.#ringPages = share(2 ** order, this.#ringReferences, "read-write");
      this.#ring = new FrontRing(this.#ringPages.bytes, entrySize);
      this.#data = share(pages, this.#references, "read-write");
      const isIndirect = abilities.segments > directSegments;
      // Linux only reads them, but maps all pages for writing where they may stay mapped.
      this.#indirect = isIndirect ? share(this.#ring.capacity, this.#indirectReferences, "read-write") : undefined;
      this.#channel = domain.events.allocate(back, () => this.#heard());
    } catch (error) {
      for (const [memory, references] of allocated) reclaimer.reclaim(memory, references);
      throw error;
    }
    this.#view = viewOf(this.#ring.bytes);
    this.#indirectView = this.#indirect === undefined ? undefined : viewOf(this.#indirect.bytes);
    this.#slots = Array.from({ length: this.#ring.capacity }, () => new Slot(abilities.segments));
    for (let id = this.#ring.capacity - 1; id >= 0; id--) this.#freeSlots.push(id);
    for (let page = pages - 1; page >= 0; page--) this.#freePages.push(page);
  }

  /** Where the back end finds it. */
  get nodes(): DeviceNodes {
    const { order } = this.#options;
    const port = { "event-channel": this.#channel.port };
    if (order === 0) return { ...port, "ring-ref": this.#ringReferences[0] ?? 0 };
    const references = this.#ringReferences.map((reference, page) => [`ring-ref${page}`, reference] as const);
    return { ...port, "ring-page-order": order, "num-ring-pages": 2 ** order, ...Object.fromEntries(references) };
  }

  get inFlight(): number {
    return this.#ring.inFlight;
  }

  /** The back end serves it now. */
  begin(): void {
    this.#hasBegun = true;
    this.#pump();
  }

  add(each: Operation): void {
    this.#waiting.push(each);
    this.#pump();
  }

  /** @param isVoid grants and channels are forgotten, not ended */
  close(isVoid: boolean): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#waiting = [];
    if (!isVoid) this.#channel.close();
    this.#reclaimer.reclaim(this.#ringPages, isVoid ? [] : this.#ringReferences);
    this.#reclaimer.reclaim(this.#data, isVoid ? [] : this.#references);
    if (this.#indirect !== undefined) {
      this.#reclaimer.reclaim(this.#indirect, isVoid ? [] : this.#indirectReferences);
    }
  }

  /** Makes requests while there is room for them. */
  #pump(): void {
    if (!this.#hasBegun || this.#isOver) return;
    let begun = 0;
    for (const each of this.#waiting) {
      if (!this.#askAll(each)) break;
      begun++;
    }
    if (begun > 0) this.#waiting.splice(0, begun);
    if (this.#ring.push()) this.#channel.notify();
  }

  /** False: for the rest of it there is no room now. */
  #askAll(each: Operation): boolean {
    if (each.isOver) return true;
    do {
      const wanted =
        each.bytes === undefined ? 0 : Math.min(this.#abilities.segments, pagesFor(each.length - each.asked));
      const pages = Math.min(wanted, this.#freePages.length);
      const id = this.#freeSlots[this.#freeSlots.length - 1];
      if (id === undefined || (wanted > 0 && pages === 0)) return false;
      this.#freeSlots.pop();
      this.#ask(each, id, pages);
    } while (each.asked < each.length);
    return true;
  }

  #ask(each: Operation, id: number, pages: number): void {
    const slot = this.#slots[id];
    if (slot === undefined) return;
    const at = this.#ring.nextRequest();
    slot.operation = each;
    slot.offset = each.asked;
    slot.length = pages === 0 ? each.length : Math.min(pages * pageSize, each.length - each.asked);
    slot.pageCount = pages;
    each.waiting++;
    if (pages === 0) this.#askPlain(each, slot, at, id);
    else this.#askData(each, slot, at, id);
    each.asked += slot.length;
  }

  #askPlain(each: Operation, slot: Slot, at: number, id: number): void {
    slot.kind = each.kind;
    if (each.kind === operation.flush && this.#abilities.flush === "barrier") slot.kind = operation.barrier;
    writeHead(this.#view, at, slot.kind, 0, id, each.place);
    if (each.kind === operation.discard) writeDiscardLength(this.#view, at, each.length / unit);
  }

  #askData(each: Operation, slot: Slot, at: number, id: number): void {
    const { pageCount } = slot;
    const view = this.#view;
    const isIndirect = pageCount > directSegments;
    // Answers to an indirect request say what that was about, as Linux has it at both ends.
    slot.kind = each.kind;
    if (isIndirect) {
      writeIndirectHead(view, at, each.kind, pageCount, id, each.nextPlace);
      // At most 256 segments: half a page.
      writeIndirectPage(view, at, 0, this.#indirectReferences[id] ?? 0);
    } else writeHead(view, at, each.kind, pageCount, id, each.nextPlace);
    for (let index = 0; index < pageCount; index++) {
      const page = this.#freePages.pop() ?? 0;
      slot.pages[index] = page;
      const length = Math.min(pageSize, slot.length - index * pageSize);
      const reference = this.#references[page] ?? 0;
      const last = Math.min(length / unit, unitsOfPage) - 1;
      if (isIndirect && this.#indirectView !== undefined) {
        writeSegment(this.#indirectView, id * segmentsOfPage * segmentSize + index * segmentSize, reference, 0, last);
      } else writeDirectSegment(view, at, index, reference, 0, last);
      if (each.kind === operation.write && each.bytes !== undefined) {
        const from = slot.offset + index * pageSize;
        this.#data.bytes.set(each.bytes.subarray(from, from + length), page * pageSize);
      }
    }
  }

  #heard(): void {
    const ring = this.#ring;
    while (!this.#isOver) {
      for (let left = ring.available; left !== 0; left--) {
        if (left < 0) {
          this.#fail("there are more responses than requests");
          return;
        }
        if (!this.#answer(ring.nextResponse())) return;
      }
      if (!ring.finalCheck()) break;
    }
    this.#pump();
  }

  /** False: the response makes no sense. */
  #answer(at: number): boolean {
    const view = this.#view;
    const id = view.getUint32(at, true);
    const idHigh = view.getUint32(at + 4, true);
    const kind = view.getUint8(at + 8);
    const status = view.getInt16(at + 10, true);
    const slot = idHigh === 0 ? this.#slots[id] : undefined;
    const each = slot?.operation;
    if (slot === undefined || each === undefined) {
      this.#fail(`a response to request ${idHigh * 0x1_0000_0000 + id}, which was not made`);
      return false;
    }
    if (kind !== slot.kind) {
      this.#fail(`a response to request ${id} is for operation ${kind}, not ${slot.kind}`);
      return false;
    }
    slot.operation = undefined;
    this.#freeSlots.push(id);
    if (status === responseStatus.okay && !each.isOver) this.#copyOut(each, slot);
    for (let index = slot.pageCount - 1; index >= 0; index--) this.#freePages.push(slot.pages[index] ?? 0);
    each.answered(this.#errorOf(each, status));
    return true;
  }

  #copyOut(each: Operation, slot: Slot): void {
    if (each.kind !== operation.read || each.bytes === undefined) return;
    for (let index = 0; index < slot.pageCount; index++) {
      const offset = index * pageSize;
      const length = Math.min(pageSize, slot.length - offset);
      const from = (slot.pages[index] ?? 0) * pageSize;
      each.bytes.set(this.#data.bytes.subarray(from, from + length), slot.offset + offset);
    }
  }

  #errorOf(each: Operation, status: number): BlockError | undefined {
    if (status === responseStatus.okay) return undefined;
    if (status === responseStatus.notSupported && each.bytes === undefined) {
      // It said that it could, and cannot: then there is nothing to flush, and nothing to discard.
      const { flush, discard } = this.#abilities;
      const isFlush = each.kind === operation.flush;
      this.#abilities = { ...this.#abilities, flush: isFlush ? "none" : flush, discard: isFlush && discard };
      return undefined;
    }
    return new BlockError("io", each.sector, `${this.#options.path}: status ${status} from sector ${each.sector} on`);
  }

  #fail(what: string): void {
    this.#options.failed(new XenError("protocol", `${this.#options.path}: ${what}`));
  }
}

function pagesFor(bytes: number): number {
  return Math.ceil(bytes / pageSize);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
