import { encodeMessage, encodeStrings, messageType } from "./wire.ts";
import type { Watch } from "./watches.ts";

/** An event that its watcher has not got yet. */
interface PendingEvent {
  readonly watch: Watch;
  readonly path: string;
}

/**
 * What a client has not taken yet: replies and events, in order.
 *
 * Events are kept as what they are about, and once only: a client that does not read costs no more than a path for each
 * thing that changed, and beyond a bound one path for each of its watches.
 */
export class Output {
  readonly #most: number;
  #queue: (Uint8Array | PendingEvent)[] = [];
  #head = 0;
  /** What is being taken, and how much of it was. */
  #current: Uint8Array | undefined;
  #taken = 0;
  #events = 0;
  /** Bytes of replies that wait. */
  replyBytes = 0;

  /** @param most events that wait, above which those of one watch become one */
  constructor(most: number) {
    this.#most = most;
  }

  get isEmpty(): boolean {
    return this.#current === undefined && this.#head === this.#queue.length;
  }

  reply(message: Uint8Array): void {
    this.replyBytes += message.length;
    this.#queue.push(message);
  }

  event(watch: Watch, path: string): void {
    if (watch.pending.has(path) || watch.pending.has(watch.path)) return;
    if (this.#events >= this.#most) {
      this.forget(watch);
      path = watch.path;
    }
    watch.pending.add(path);
    this.#events++;
    this.#queue.push({ watch, path });
  }

  /** Drops the events of a watch. */
  forget(watch: Watch): void {
    this.#events -= watch.pending.size;
    watch.pending.clear();
    const rest = this.#queue.slice(this.#head);
    this.#queue = rest.filter((each) => each instanceof Uint8Array || each.watch !== watch);
    this.#head = 0;
  }

  /** Copies bytes that wait to `into[offset … offset + length)`, and gives how many. */
  take(into: Uint8Array, offset: number, length: number): number {
    let done = 0;
    while (done < length) {
      this.#current ??= this.#next();
      if (this.#current === undefined) break;
      const count = Math.min(length - done, this.#current.length - this.#taken);
      into.set(this.#current.subarray(this.#taken, this.#taken + count), offset + done);
      done += count;
      this.#taken += count;
      if (this.#taken < this.#current.length) continue;
      this.#current = undefined;
      this.#taken = 0;
    }
    return done;
  }

  /** Events become bytes: their watches are another server's from now on. */
  settle(): void {
    const bytes = this.copy();
    this.#queue = [];
    this.#head = 0;
    this.#taken = 0;
    this.#events = 0;
    this.replyBytes = 0;
    this.#current = undefined;
    if (bytes.length > 0) this.reply(bytes);
  }

  /** All that waits, as bytes; it goes on waiting. */
  copy(): Uint8Array {
    const messages = this.#queue
      .slice(this.#head)
      .map((each) => (each instanceof Uint8Array ? each : encodeEvent(each)));
    if (this.#current !== undefined) messages.unshift(this.#current.subarray(this.#taken));
    const bytes = new Uint8Array(messages.reduce((sum, each) => sum + each.length, 0));
    let at = 0;
    for (const each of messages) {
      bytes.set(each, at);
      at += each.length;
    }
    return bytes;
  }

  #next(): Uint8Array | undefined {
    const next = this.#queue[this.#head];
    if (next === undefined) {
      this.#queue.length = 0;
      this.#head = 0;
      return undefined;
    }
    this.#head++;
    // Taken in small steps from a long queue, what is done would be kept.
    if (this.#head > 1024 && this.#head * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
    if (next instanceof Uint8Array) {
      this.replyBytes -= next.length;
      return next;
    }
    next.watch.pending.delete(next.path);
    this.#events--;
    return encodeEvent(next);
  }
}

function encodeEvent({ watch, path }: PendingEvent): Uint8Array {
  return encodeMessage(messageType.watchEvent, 0, 0, encodeStrings(path.slice(watch.cut), watch.token));
}
