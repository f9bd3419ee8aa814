import type { Timer, Timers } from "@tesserae/device/clock";
import type { Connection } from "./connection.ts";
import { type Demux, DemuxEntry, kindTimeWait } from "./demux.ts";
import type { Counters } from "./statistics.ts";

/** What is left of a connection for 2 MSL: enough to repeat its last ACK (RFC 9293 §3.10.7.4, TIME-WAIT). */
export class TimeWait extends DemuxEntry {
  readonly kind = kindTimeWait;
  /** SND.NXT and RCV.NXT. */
  readonly nxt: number;
  readonly receiveNext: number;
  readonly timestamps: boolean;
  readonly timestampOffset: number;
  readonly recentTimestamp: number;
  /** The window field of the ACKs it repeats. */
  readonly window: number;
  /** Private to the table. */
  deadline = 0;
  previous: TimeWait | null = null;
  next: TimeWait | null = null;

  constructor(connection: Connection) {
    super(connection.local, connection.localPort, connection.remote, connection.remotePort);
    this.nxt = connection.sender.max;
    this.receiveNext = connection.receiver.nxt;
    this.timestamps = connection.receiver.timestamps;
    this.timestampOffset = connection.timestampOffset;
    this.recentTimestamp = connection.receiver.recentTimestamp;
    this.window = Math.min(65_535, connection.receiver.window >>> connection.receiver.shift);
  }
}

/** The connections in TIME-WAIT, bounded, in order of expiry: one timer for all. The oldest gives way. */
export class TimeWaitTable {
  readonly #capacity: number;
  readonly #duration: number;
  readonly #timers: Timers;
  readonly #timer: Timer;
  readonly #demux: Demux;
  readonly #counters: Counters;
  #head: TimeWait | null = null;
  #tail: TimeWait | null = null;
  #size = 0;

  /** @param duration 2 MSL, milliseconds */
  constructor(capacity: number, duration: number, timers: Timers, demux: Demux, counters: Counters) {
    this.#capacity = capacity;
    this.#duration = duration;
    this.#timers = timers;
    this.#demux = demux;
    this.#counters = counters;
    this.#timer = timers.timer(() => {
      this.#expire();
    });
  }

  get size(): number {
    return this.#size;
  }

  /** Takes the place of the connection. */
  insert(connection: Connection): void {
    const entry = new TimeWait(connection);
    this.#demux.replace(connection, entry);
    if (this.#size >= this.#capacity) this.evict();
    this.#append(entry);
    this.#size++;
  }

  /** The peer's FIN came again: 2 MSL start anew. */
  restart(entry: TimeWait): void {
    this.#unlink(entry);
    this.#append(entry);
  }

  remove(entry: TimeWait): void {
    this.#unlink(entry);
    this.#size--;
    this.#demux.remove(entry);
    if (this.#size === 0) this.#timer.cancel();
  }

  /** Gives up the oldest. @returns false when there is none. */
  evict(): boolean {
    if (this.#head === null) return false;
    this.#counters.timeWaitEvictions++;
    this.remove(this.#head);
    return true;
  }

  clear(): void {
    while (this.#head !== null) this.remove(this.#head);
  }

  #append(entry: TimeWait): void {
    entry.deadline = this.#timers.now() + this.#duration;
    entry.previous = this.#tail;
    if (this.#tail === null) this.#head = entry;
    else this.#tail.next = entry;
    this.#tail = entry;
    if (!this.#timer.armed) this.#timer.set(entry.deadline);
  }

  #unlink(entry: TimeWait): void {
    const { previous, next } = entry;
    if (previous === null) this.#head = next;
    else previous.next = next;
    if (next === null) this.#tail = previous;
    else next.previous = previous;
    entry.previous = null;
    entry.next = null;
  }

  #expire(): void {
    const now = this.#timers.now();
    while (this.#head !== null && this.#head.deadline <= now) this.remove(this.#head);
    if (this.#head !== null) this.#timer.set(this.#head.deadline);
  }
}
