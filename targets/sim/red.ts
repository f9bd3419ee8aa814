import { ParcelList, type Parcel } from "./parcel.ts";
import type { Queue, QueueOwner, RedSettings } from "./queue.ts";
import type { SeededRandom } from "./random.ts";

/** Random early detection: S. Floyd and V. Jacobson, "Random Early Detection Gateways for Congestion Avoidance", 1993. */
export class RandomEarly implements Queue {
  readonly #settings: Required<RedSettings>;
  readonly #owner: QueueOwner;
  readonly #random: SeededRandom;
  readonly #list = new ParcelList();
  #average = 0;
  /** Packets since the last one that was dropped or marked; −1 below the minimum. */
  #count = -1;
  /** When the queue became empty, or −1. */
  #idleSince = 0;
  /** Milliseconds that a packet was in service, the last one seen: for the average of an idle time. */
  #service = 1;
  #lastOut = 0;

  constructor(settings: Required<RedSettings>, owner: QueueOwner, random: SeededRandom) {
    this.#settings = settings;
    this.#owner = owner;
    this.#random = random;
  }

  get packets(): number {
    return this.#list.count;
  }

  get bytes(): number {
    return this.#list.bytes;
  }

  /** The average queue, in bytes. */
  get average(): number {
    return this.#average;
  }

  enqueue(parcel: Parcel, now: number): boolean {
    const list = this.#list;
    const { bytes, ecn, weight } = this.#settings;
    if (this.#idleSince >= 0 && list.count === 0) {
      // As if that many small packets had found it empty.
      this.#average *= power(1 - weight, Math.floor((now - this.#idleSince) / this.#service));
      this.#idleSince = -1;
    }
    this.#average += weight * (list.bytes - this.#average);
    if (list.bytes + parcel.length > bytes) {
      this.#count = 0;
      this.#owner.dropParcel(parcel, "queue");
      return false;
    }
    if (this.#hits() && !(ecn && this.#owner.markParcel(parcel))) {
      this.#owner.dropParcel(parcel, "early");
      return false;
    }
    list.push(parcel);
    return true;
  }

  dequeue(now: number): Parcel | undefined {
    const parcel = this.#list.shift();
    if (now > this.#lastOut) this.#service = now - this.#lastOut;
    this.#lastOut = now;
    if (this.#list.count === 0) this.#idleSince = now;
    return parcel;
  }

  take(): Parcel | undefined {
    return this.#list.shift();
  }

  #hits(): boolean {
    const { minimum, maximum, probability } = this.#settings;
    const average = this.#average;
    if (average < minimum) {
      this.#count = -1;
      return false;
    }
    this.#count++;
    let chance = 1;
    if (average < maximum) chance = (probability * (average - minimum)) / (maximum - minimum);
    else if (average < 2 * maximum) chance = probability + ((1 - probability) * (average - maximum)) / maximum;
    // Spreads the hits evenly: the distance between two is uniformly distributed.
    const even = this.#count * chance < 1 ? chance / (1 - this.#count * chance) : 1;
    if (!this.#random.chance(even)) return false;
    this.#count = 0;
    return true;
  }
}

/** By multiplications only, which are the same on every machine; `Math.pow` need not be. */
function power(base: number, exponent: number): number {
  let result = 1;
  let square = base;
  for (let rest = exponent; rest >= 1 && result > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) result *= square;
    square *= square;
  }
  return result;
}
