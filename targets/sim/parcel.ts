import type { Page } from "@tesserae/device/page";

/** A frame in a queue: `page.bytes[offset … offset + length)`. */
export class Parcel {
  page: Page | undefined = undefined;
  offset = 0;
  length = 0;
  /** The frame's number in its world. */
  frame = 0;
  /** When it came into the queue. */
  queued = 0;
  next: Parcel | null = null;
}

/** Parcels in order, first in, first out. Linked through the parcels themselves. */
export class ParcelList {
  bytes = 0;
  count = 0;
  #first: Parcel | null = null;
  #last: Parcel | null = null;

  push(parcel: Parcel): void {
    parcel.next = null;
    if (this.#last === null) this.#first = parcel;
    else this.#last.next = parcel;
    this.#last = parcel;
    this.bytes += parcel.length;
    this.count++;
  }

  shift(): Parcel | undefined {
    const parcel = this.#first;
    if (parcel === null) return undefined;
    this.#first = parcel.next;
    if (parcel.next === null) this.#last = null;
    parcel.next = null;
    this.bytes -= parcel.length;
    this.count--;
    return parcel;
  }
}
