import { Codel, type CodelSettings } from "./codel.ts";
import { flowHash } from "./packet.ts";
import type { Parcel } from "./parcel.ts";
import type { Queue, QueueOwner } from "./queue.ts";

/** One queue of a {@link FlowQueue}. */
class Flow {
  readonly codel: Codel;
  credits = 0;
  /** Whether it is in one of the lists. */
  active = false;

  constructor(settings: Required<CodelSettings>, owner: QueueOwner) {
    this.codel = new Codel(settings, owner);
  }
}

/**
 * FlowQueue-CoDel (RFC 8290): flows are hashed to queues, each with a CoDel of its own, that take turns by deficit round
 * robin; those that were idle go first once.
 */
export class FlowQueue implements Queue, QueueOwner {
  packets = 0;
  bytes = 0;
  readonly #settings: Required<CodelSettings>;
  readonly #flowSettings: Required<CodelSettings>;
  readonly #quantum: number;
  readonly #owner: QueueOwner;
  readonly #perturbation: number;
  /** Made as they are used. */
  readonly #flows: (Flow | undefined)[];
  #new: Flow[] = [];
  #old: Flow[] = [];

  /** @param perturbation of the hash, so that nobody knows which flows share a queue */
  constructor(
    settings: Required<CodelSettings>,
    flows: number,
    quantum: number,
    owner: QueueOwner,
    perturbation: number,
  ) {
    this.#settings = settings;
    // The limit is on all of them together.
    this.#flowSettings = { ...settings, packets: Infinity };
    this.#quantum = quantum;
    this.#owner = owner;
    this.#perturbation = perturbation;
    this.#flows = new Array<Flow | undefined>(flows).fill(undefined);
  }

  dropParcel(parcel: Parcel, reason: "queue" | "early"): void {
    this.#left(parcel);
    this.#owner.dropParcel(parcel, reason);
  }

  markParcel(parcel: Parcel): boolean {
    return this.#owner.markParcel(parcel);
  }

  enqueue(parcel: Parcel, now: number): boolean {
    const { page } = parcel;
    const hash = page === undefined ? 0 : flowHash(page.bytes, parcel.offset, parcel.length, this.#perturbation);
    const index = hash % this.#flows.length;
    const flow = (this.#flows[index] ??= new Flow(this.#flowSettings, this));
    flow.codel.enqueue(parcel, now);
    this.packets++;
    this.bytes += parcel.length;
    if (!flow.active) {
      flow.active = true;
      flow.credits = this.#quantum;
      this.#new.push(flow);
    }
    if (this.packets <= this.#settings.packets) return true;
    // §4.1.2: the head of the longest queue goes.
    const victim = this.#longest()?.codel.take();
    if (victim !== undefined) this.dropParcel(victim, "queue");
    return victim !== parcel;
  }

  dequeue(now: number): Parcel | undefined {
    for (;;) {
      const isNew = this.#new.length > 0;
      const list = isNew ? this.#new : this.#old;
      const flow = list[0];
      if (flow === undefined) return undefined;
      if (flow.credits <= 0) {
        flow.credits += this.#quantum;
        list.shift();
        this.#old.push(flow);
        continue;
      }
      const parcel = flow.codel.dequeue(now);
      if (parcel !== undefined) {
        this.#left(parcel);
        flow.credits -= parcel.length;
        return parcel;
      }
      list.shift();
      // A new one that is empty becomes an old one, so that it cannot jump the queue by stopping and starting.
      if (isNew) this.#old.push(flow);
      else flow.active = false;
    }
  }

  take(): Parcel | undefined {
    for (const flow of [...this.#new, ...this.#old]) {
      const parcel = flow.codel.take();
      if (parcel === undefined) continue;
      this.#left(parcel);
      return parcel;
    }
    return undefined;
  }

  #longest(): Flow | undefined {
    let longest: Flow | undefined;
    for (const list of [this.#new, this.#old]) {
      for (const flow of list) {
        if (longest === undefined || flow.codel.bytes > longest.codel.bytes) longest = flow;
      }
    }
    return longest;
  }

  #left(parcel: Parcel): void {
    this.packets--;
    this.bytes -= parcel.length;
  }
}
