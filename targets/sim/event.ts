/** What happens in a world, for those who watch: traces, captures, timelines. */

/**
 * Why a frame did not arrive: lost on the way; no room in a queue; dropped early by the queue's discipline; the wire is
 * cut; it is too long for the wire; a partition; no page; nobody listens.
 */
export type DropReason = "loss" | "queue" | "early" | "down" | "mtu" | "partition" | "page" | "deaf";

/**
 * One thing that happened to a frame. Reused for the next: valid until the observer returns.
 *
 * `sent` and `received` happen at a host's interface; `corrupted`, `duplicated`, `delayed` and `marked` (with
 * congestion experienced, RFC 3168) on a link, `dropped` on either.
 */
export interface FrameEvent {
  readonly kind: "sent" | "received" | "dropped" | "corrupted" | "duplicated" | "delayed" | "marked";
  /** Virtual milliseconds. */
  readonly time: number;
  /** The interface (`client.eth0`) or the direction of the link (`client>lan`). */
  readonly place: string;
  /** The interface's number in the world, or −1 for a link. */
  readonly interfaceId: number;
  /** One number for a frame and all its copies, from 1 on, in the order in which frames were sent. */
  readonly frame: number;
  /** With `dropped`. */
  readonly reason: DropReason | undefined;
  /** The frame is `bytes[offset … offset + length)`. Lent until the observer returns. */
  readonly bytes: Uint8Array;
  readonly offset: number;
  readonly length: number;
}

/** Watches a world. Must not throw and must not change anything: a run is the same whoever watches it. */
export interface Observer {
  frame?(event: FrameEvent): void;
  /** A frame goes on its way on a direction of a link, as it is there: corrupted, perhaps. Lent as that of an event. */
  carried?(direction: string, time: number, bytes: Uint8Array, offset: number, length: number): void;
  /** A host or the world (`""`) did or said something: a console line, a task's start or end. */
  note?(time: number, host: string, text: string): void;
  /** Something that lasts began (`on`) or is over: a partition, a cut wire, a host that is down. `text` says what. */
  condition?(time: number, text: string, on: boolean): void;
}

/** Passes what happens on to the observers, through one reused event. */
export class Events {
  readonly #observers: Observer[] = [];
  /** Those of them that want to know what links carry. */
  readonly #carried: Observer[] = [];
  readonly #event = new MutableFrameEvent();
  readonly #now: () => number;
  #frames = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  add(observer: Observer): void {
    this.#observers.push(observer);
    if (observer.carried !== undefined) this.#carried.push(observer);
  }

  /** The number of a frame about to be sent. */
  nextFrame(): number {
    return ++this.#frames;
  }

  /** How many frames interfaces have sent. */
  get frames(): number {
    return this.#frames;
  }

  note(host: string, text: string): void {
    const time = this.#now();
    for (const observer of this.#observers) observer.note?.(time, host, text);
  }

  /** A frame goes on its way on the direction of a link. */
  carried(direction: string, bytes: Uint8Array, offset: number, length: number): void {
    if (this.#carried.length === 0) return;
    const time = this.#now();
    for (const observer of this.#carried) observer.carried?.(direction, time, bytes, offset, length);
  }

  /** Something that lasts begins or ends. It is noted as well. */
  condition(text: string, on: boolean): void {
    const time = this.#now();
    this.note("", `${on ? "on" : "off"}: ${text}`);
    for (const observer of this.#observers) observer.condition?.(time, text, on);
  }

  frame(
    kind: FrameEvent["kind"],
    place: string,
    interfaceId: number,
    frame: number,
    reason: DropReason | undefined,
    bytes: Uint8Array,
    offset: number,
    length: number,
  ): void {
    const event = this.#event;
    event.kind = kind;
    event.time = this.#now();
    event.place = place;
    event.interfaceId = interfaceId;
    event.frame = frame;
    event.reason = reason;
    event.bytes = bytes;
    event.offset = offset;
    event.length = length;
    const observers = this.#observers;
    for (let index = 0; index < observers.length; index++) observers[index]?.frame?.(event);
  }
}

class MutableFrameEvent implements FrameEvent {
  kind: FrameEvent["kind"] = "sent";
  time = 0;
  place = "";
  interfaceId = -1;
  frame = 0;
  reason: DropReason | undefined = undefined;
  bytes: Uint8Array = new Uint8Array(0);
  offset = 0;
  length = 0;
}
