import { ParcelList, type Parcel } from "./parcel.ts";
import type { Queue, QueueOwner } from "./queue.ts";

/** Controlled delay (RFC 8289). Milliseconds. */
export interface CodelSettings {
  /** The delay that may last. Default 5. */
  readonly target?: number;
  /** How long it may be above. Default 100. */
  readonly interval?: number;
  /** What does not fit is dropped. Default 1000, of FlowQueue-CoDel 10,240. */
  readonly packets?: number;
  /** Whether packets that can carry a mark are marked in place of dropped. Default false, of FlowQueue-CoDel true. */
  readonly ecn?: boolean;
}

export function codelDefaults(settings: CodelSettings, packets: number, ecn: boolean): Required<CodelSettings> {
  const { target = 5, interval = 100 } = settings;
  return { target, interval, packets: settings.packets ?? packets, ecn: settings.ecn ?? ecn };
}

/** The longest frame of the usual kind: with no more than that in the queue the delay is not the queue's fault. */
const longestFrame = 1514;

/** CoDel on one queue: RFC 8289 §5, with the marks of §3. Names are the RFC's. */
export class Codel implements Queue {
  readonly #settings: Required<CodelSettings>;
  readonly #owner: QueueOwner;
  readonly #list = new ParcelList();
  #firstAbove = 0;
  #dropNext = 0;
  #count = 0;
  #lastCount = 0;
  #dropping = false;
  #okToDrop = false;

  constructor(settings: Required<CodelSettings>, owner: QueueOwner) {
    this.#settings = settings;
    this.#owner = owner;
  }

  get packets(): number {
    return this.#list.count;
  }

  get bytes(): number {
    return this.#list.bytes;
  }

  enqueue(parcel: Parcel, now: number): boolean {
    if (this.#list.count >= this.#settings.packets) {
      this.#owner.dropParcel(parcel, "queue");
      return false;
    }
    parcel.queued = now;
    this.#list.push(parcel);
    return true;
  }

  dequeue(now: number): Parcel | undefined {
    let parcel = this.#remove(now);
    if (this.#dropping) {
      if (!this.#okToDrop) this.#dropping = false;
      while (this.#dropping && now >= this.#dropNext) {
        this.#count++;
        if (this.#marks(parcel)) {
          this.#dropNext = this.#controlLaw(this.#dropNext);
          return parcel;
        }
        this.#drop(parcel);
        parcel = this.#remove(now);
        if (this.#okToDrop) this.#dropNext = this.#controlLaw(this.#dropNext);
        else this.#dropping = false;
      }
    } else if (this.#okToDrop) {
      if (!this.#marks(parcel)) {
        this.#drop(parcel);
        parcel = this.#remove(now);
      }
      this.#dropping = true;
      // What it took the last time, if that was a short while ago.
      const delta = this.#count - this.#lastCount;
      this.#count = delta > 1 && now - this.#dropNext < 16 * this.#settings.interval ? delta : 1;
      this.#dropNext = this.#controlLaw(now);
      this.#lastCount = this.#count;
    }
    return parcel;
  }

  take(): Parcel | undefined {
    return this.#list.shift();
  }

  /** The RFC's `dodequeue`: sets `#okToDrop`. */
  #remove(now: number): Parcel | undefined {
    const parcel = this.#list.shift();
    this.#okToDrop = false;
    if (parcel === undefined) {
      this.#firstAbove = 0;
      return undefined;
    }
    if (now - parcel.queued < this.#settings.target || this.#list.bytes <= longestFrame) this.#firstAbove = 0;
    else if (this.#firstAbove === 0) this.#firstAbove = now + this.#settings.interval;
    else if (now >= this.#firstAbove) this.#okToDrop = true;
    return parcel;
  }

  #controlLaw(from: number): number {
    return from + this.#settings.interval / Math.sqrt(this.#count);
  }

  #marks(parcel: Parcel | undefined): boolean {
    return this.#settings.ecn && parcel !== undefined && this.#owner.markParcel(parcel);
  }

  #drop(parcel: Parcel | undefined): void {
    if (parcel !== undefined) this.#owner.dropParcel(parcel, "early");
  }
}
