import { Codel, codelDefaults, type CodelSettings } from "./codel.ts";
import { FlowQueue } from "./fq-codel.ts";
import { ParcelList, type Parcel } from "./parcel.ts";
import type { SeededRandom } from "./random.ts";
import { RandomEarly } from "./red.ts";

/** What waits in front of a link with a bandwidth, and what is dropped there. */
export type QueueSettings =
  /** What does not fit is dropped. Default of `bytes`: 262,144; of `packets`: any number. */
  | { readonly kind: "drop-tail"; readonly bytes?: number; readonly packets?: number }
  | RedSettings
  | ({ readonly kind: "codel" } & CodelSettings)
  | FlowQueueSettings;

/** Random early detection (Floyd and Jacobson, 1993), in its gentle form, by bytes. */
export interface RedSettings {
  readonly kind: "red";
  /** Nothing is dropped while the average queue is below. Default 30,000. */
  readonly minimum?: number;
  /** The probability rises to `probability` here, and to 1 at twice as much. Default 90,000. */
  readonly maximum?: number;
  /** Default 0.1. */
  readonly probability?: number;
  /** Of a new value in the average. Default 0.002. */
  readonly weight?: number;
  /** What does not fit is dropped. Default 262,144. */
  readonly bytes?: number;
  /** Whether packets that can carry a mark are marked in place of dropped. Default false. */
  readonly ecn?: boolean;
}

/** FlowQueue-CoDel (RFC 8290). */
export interface FlowQueueSettings extends CodelSettings {
  readonly kind: "fq-codel";
  /** How many queues flows are hashed to. Default 1024. */
  readonly flows?: number;
  /** Bytes that a flow may send in its turn. Default 1514. */
  readonly quantum?: number;
}

/** What a queue tells its link. */
export interface QueueOwner {
  /** The parcel will not come out. */
  dropParcel(parcel: Parcel, reason: "queue" | "early"): void;
  /** @returns whether the parcel carries the mark of congestion now. */
  markParcel(parcel: Parcel): boolean;
}

/** A queue discipline. */
export interface Queue {
  readonly packets: number;
  readonly bytes: number;
  /** Takes a parcel, or drops it or another one. @returns false when it was this one. */
  enqueue(parcel: Parcel, now: number): boolean;
  /** What is to be sent next, or undefined when nothing waits. */
  dequeue(now: number): Parcel | undefined;
  /** The oldest parcel, without any early drop: to empty the queue. */
  take(): Parcel | undefined;
}

const defaultBytes = 262_144;

/** A number is a drop-tail queue of so many bytes. */
export function makeQueue(settings: number | QueueSettings, owner: QueueOwner, random: SeededRandom): Queue {
  if (typeof settings === "number") return new DropTail(settings, Infinity, owner);
  switch (settings.kind) {
    case "drop-tail":
      return new DropTail(
        settings.bytes ?? (settings.packets === undefined ? defaultBytes : Infinity),
        settings.packets ?? Infinity,
        owner,
      );
    case "red":
      return new RandomEarly(
        {
          kind: "red",
          minimum: settings.minimum ?? 30_000,
          maximum: settings.maximum ?? 90_000,
          probability: settings.probability ?? 0.1,
          weight: settings.weight ?? 0.002,
          bytes: settings.bytes ?? defaultBytes,
          ecn: settings.ecn ?? false,
        },
        owner,
        random,
      );
    case "codel":
      return new Codel(codelDefaults(settings, 1000, false), owner);
    case "fq-codel": {
      const flows = settings.flows ?? 1024;
      return new FlowQueue(
        codelDefaults(settings, 10_240, true),
        flows,
        settings.quantum ?? 1514,
        owner,
        random.uint32(),
      );
    }
  }
}

/** @throws RangeError naming the field that is out of range. */
export function checkQueue(settings: number | QueueSettings): void {
  const check = (name: string, value: number | undefined, least: number, most = Infinity): void => {
    if (value === undefined || (value >= least && value <= most)) return;
    const range = most === Infinity ? `${String(least)} or more` : `from ${String(least)} to ${String(most)}`;
    throw new RangeError(`${name} ${String(value)} is not ${range}`);
  };
  if (typeof settings === "number") {
    check("queue", settings, 0);
    return;
  }
  switch (settings.kind) {
    case "drop-tail":
      check("queue.bytes", settings.bytes, 0);
      check("queue.packets", settings.packets, 0);
      break;
    case "red":
      check("queue.minimum", settings.minimum, 1);
      check("queue.maximum", settings.maximum, (settings.minimum ?? 30_000) + 1);
      check("queue.probability", settings.probability, 0, 1);
      check("queue.weight", settings.weight, 1e-6, 1);
      check("queue.bytes", settings.bytes, 0);
      break;
    case "codel":
    case "fq-codel":
      check("queue.target", settings.target, 0.001);
      check("queue.interval", settings.interval, 0.001);
      check("queue.packets", settings.packets, 1);
      if (settings.kind === "codel") break;
      check("queue.flows", settings.flows, 1, 65_536);
      check("queue.quantum", settings.quantum, 64);
      break;
    default:
      throw new RangeError(`queue is no discipline: ${JSON.stringify(settings)}`);
  }
}

class DropTail implements Queue {
  readonly #byteLimit: number;
  readonly #packetLimit: number;
  readonly #owner: QueueOwner;
  readonly #list = new ParcelList();

  constructor(byteLimit: number, packetLimit: number, owner: QueueOwner) {
    this.#byteLimit = byteLimit;
    this.#packetLimit = packetLimit;
    this.#owner = owner;
  }

  get packets(): number {
    return this.#list.count;
  }

  get bytes(): number {
    return this.#list.bytes;
  }

  enqueue(parcel: Parcel): boolean {
    const list = this.#list;
    if (list.bytes + parcel.length > this.#byteLimit || list.count >= this.#packetLimit) {
      this.#owner.dropParcel(parcel, "queue");
      return false;
    }
    list.push(parcel);
    return true;
  }

  dequeue(): Parcel | undefined {
    return this.#list.shift();
  }

  take(): Parcel | undefined {
    return this.#list.shift();
  }
}
