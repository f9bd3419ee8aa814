import {
  checkCopy,
  copyStatus,
  pageSize,
  type Access,
  type CopyBatch,
  type ForeignPages,
  type MappedPages,
  type SharedPages,
} from "@tesserae/xen/grant";
import { XenError } from "@tesserae/xen/xen-error";
import { WindowPages } from "./shared-pages.ts";
import { GrantOperations, type GrantCalls } from "./xen-file.ts";

/** Where other domains' pages go. */
export interface ForeignRoom {
  /** Physical address, in bytes. */
  readonly address: number;
  readonly pages: number;
  /** The memory at an address, for ever. @throws WindowError */
  bind(address: number, length: number): Uint8Array;
}

/** A part of the room, with what the program sees of it. */
interface Place {
  readonly address: number;
  readonly bytes: Uint8Array;
}

/** Operations of one call, at most. */
const batch = 64;

/** Other domains' pages, mapped into the room that the kernel keeps for them, or copied. */
export class WindowForeignPages implements ForeignPages {
  readonly #calls: GrantCalls;
  readonly #room: ForeignRoom;
  readonly #operations = new GrantOperations(batch);
  /** Places that are free, by the power of two that is their number of pages. */
  readonly #free = new Map<number, Place[]>();
  #used = 0;
  #life = 0;

  constructor(calls: GrantCalls, room: ForeignRoom) {
    this.#calls = calls;
    this.#room = room;
  }

  map(domain: number, references: readonly number[], access: Access): MappedPages {
    if (references.length === 0) throw new RangeError("no page is to be mapped");
    // Sizes are powers of two, so that a place that was given back is of use to others.
    const order = Math.ceil(Math.log2(references.length));
    const place = this.#take(order);
    const handles: number[] = [];
    const operations = this.#operations;
    for (let start = 0; start < references.length; start += batch) {
      const count = Math.min(batch, references.length - start);
      for (let index = 0; index < count; index++) {
        const at = place.address + (start + index) * pageSize;
        operations.setMap(index, at, domain, references[start + index] ?? 0, access === "read-only");
      }
      this.#calls.run("map", operations.bytes, GrantOperations.length(count));
      let failed = 0;
      let refused = 0;
      for (let index = 0; index < count; index++) {
        const status = operations.status(index);
        // In order: the place of a handle is the place of its page.
        handles.push(status === copyStatus.okay ? operations.handle(index) : noHandle);
        if (status !== copyStatus.okay && failed === 0) {
          failed = status;
          refused = references[start + index] ?? 0;
        }
      }
      if (failed !== 0) {
        if (this.#unmap(place, handles)) this.#giveBack(order, place);
        throw mapError(failed, domain, refused);
      }
    }
    let isMapped = true;
    const life = this.#life;
    return {
      bytes: place.bytes.subarray(0, references.length * pageSize),
      unmap: () => {
        if (!isMapped) return;
        isMapped = false;
        if (life !== this.#life || this.#unmap(place, handles)) this.#giveBack(order, place);
      },
    };
  }

  createCopyBatch(capacity: number): CopyBatch {
    return new WindowCopyBatch(this.#calls, capacity);
  }

  /** All mappings are void: the domain goes on in another life. What is behind their bytes is nobody's. */
  forget(): void {
    this.#life++;
  }

  #take(order: number): Place {
    const used = this.#free.get(order)?.pop();
    if (used !== undefined) return used;
    const pages = 2 ** order;
    if (pages > this.#room.pages - this.#used)
      throw new XenError("exhausted", "there is no room for more pages of others");
    const address = this.#room.address + this.#used * pageSize;
    const place = { address, bytes: this.#room.bind(address, pages * pageSize) };
    this.#used += pages;
    return place;
  }

  #giveBack(order: number, place: Place): void {
    const list = this.#free.get(order);
    if (list === undefined) this.#free.set(order, [place]);
    else list.push(place);
  }

  /** False when Xen keeps one of them: the place is not used again. */
  #unmap(place: Place, handles: readonly number[]): boolean {
    const operations = this.#operations;
    let count = 0;
    let isFree = true;
    const run = (): void => {
      this.#calls.run("unmap", operations.bytes, GrantOperations.length(count));
      for (let index = 0; index < count; index++) isFree &&= operations.status(index) === copyStatus.okay;
      count = 0;
    };
    for (const [index, handle] of handles.entries()) {
      if (handle === noHandle) continue;
      operations.setUnmap(count++, place.address + index * pageSize, handle);
      if (count === batch) run();
    }
    if (count > 0) run();
    return isFree;
  }
}

class WindowCopyBatch implements CopyBatch {
  readonly capacity: number;
  readonly #calls: GrantCalls;
  readonly #operations: GrantOperations;
  #length = 0;

  constructor(calls: GrantCalls, capacity: number) {
    this.#calls = calls;
    this.capacity = capacity;
    this.#operations = new GrantOperations(capacity);
  }

  get length(): number {
    return this.#length;
  }

  clear(): void {
    this.#length = 0;
  }

  addFrom(domain: number, reference: number, offset: number, to: SharedPages, toOffset: number, length: number): void {
    this.#add(to, toOffset, domain, reference, offset, length, false);
  }

  addTo(
    from: SharedPages,
    fromOffset: number,
    domain: number,
    reference: number,
    offset: number,
    length: number,
  ): void {
    this.#add(from, fromOffset, domain, reference, offset, length, true);
  }

  run(): void {
    if (this.#length > 0) this.#calls.run("copy", this.#operations.bytes, GrantOperations.length(this.#length));
  }

  status(index: number): number {
    return this.#operations.status(index);
  }

  #add(
    own: SharedPages,
    ownOffset: number,
    domain: number,
    reference: number,
    offset: number,
    length: number,
    isOut: boolean,
  ): void {
    checkCopy(this, own, ownOffset, length);
    const address = WindowPages.of(own).frame * pageSize + ownOffset;
    this.#operations.setCopy(
      this.#length++,
      address,
      domain,
      reference,
      Math.min(offset, largestOffset),
      length,
      isOut,
    );
  }
}

/** Of a page that was not mapped. */
const noHandle = -1;
/** What is beyond a page is refused by Xen; the field has 16 bits. */
const largestOffset = 0xffff;

function mapError(status: number, domain: number, reference: number): XenError {
  const what = `grant ${reference} of domain ${domain} cannot be mapped: ${status}`;
  if (status === copyStatus.badDomain) return new XenError("no-domain", what);
  return new XenError(status === noSpace ? "exhausted" : "bad-grant", what);
}

/** `GNTST_no_space`. */
const noSpace = -13;
