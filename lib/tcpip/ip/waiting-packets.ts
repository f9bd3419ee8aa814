import type { Page } from "@tesserae/device/page";

export interface WaitingOptions {
  /** Packets that may wait for one neighbour; the oldest makes room. Default 8. */
  readonly waitingOfOne?: number;
  /** Packets that may wait in all; the oldest makes room. Each holds a page of the device. Default 64. */
  readonly waitingInAll?: number;
}

/** Where it is counted. */
export interface WaitingStatistics {
  /** Packets dropped while waiting: no room, or no answer. */
  waitingDropped: number;
}

/** What becomes of packets that wait no longer. */
export interface WaitingEvents {
  release(page: Page): void;
  /** A packet was given up: {@link WaitingPackets.report} is to be called soon, and not from inside a send. */
  gaveUp(): void;
}

/** A packet that waits: `page.bytes[offset … offset + length)`. */
export interface WaitingPacket<Key> {
  readonly key: Key;
  readonly page: Page;
  readonly offset: number;
  readonly length: number;
}

/** Packets that wait until the MAC address of a neighbour is known, bounded for each and in all. Owns their pages. */
export class WaitingPackets<Key> {
  readonly #ofOne: number;
  readonly #inAll: number;
  readonly #isSame: (a: Key, b: Key) => boolean;
  readonly #statistics: WaitingStatistics;
  readonly #events: WaitingEvents;
  #waiting: WaitingPacket<Key>[] = [];
  /** Given up while somebody was sending: reported later, and never from inside their call. */
  #givenUp: WaitingPacket<Key>[] = [];
  #isClosed = false;

  constructor(
    options: WaitingOptions,
    isSame: (a: Key, b: Key) => boolean,
    statistics: WaitingStatistics,
    events: WaitingEvents,
  ) {
    this.#ofOne = options.waitingOfOne ?? 8;
    this.#inAll = options.waitingInAll ?? 64;
    this.#isSame = isSame;
    this.#statistics = statistics;
    this.#events = events;
  }

  /** Whether there is something to report. */
  get hasGivenUp(): boolean {
    return this.#givenUp.length > 0;
  }

  add(key: Key, page: Page, offset: number, length: number): void {
    const waiting = this.#waiting;
    let ofThis = 0;
    for (const each of waiting) if (this.#isSame(each.key, key)) ofThis++;
    if (ofThis >= this.#ofOne || waiting.length >= this.#inAll) {
      // The oldest to the same neighbour makes room, or the oldest of all: a neighbour that is there answers within
      // moments, so what has waited longest waits for one that is not.
      const oldest = ofThis >= this.#ofOne ? waiting.findIndex((each) => this.#isSame(each.key, key)) : 0;
      const [gone] = waiting.splice(oldest, 1);
      this.#statistics.waitingDropped++;
      if (gone !== undefined) this.#events.release(gone.page);
    }
    waiting.push({ key, page, offset, length });
  }

  /** Those that wait for a neighbour, oldest first. They wait no longer, and their pages are the caller's. */
  take(key: Key): readonly WaitingPacket<Key>[] {
    const packets = this.#waiting.filter((each) => this.#isSame(each.key, key));
    if (packets.length > 0) this.#waiting = this.#waiting.filter((each) => !this.#isSame(each.key, key));
    return packets;
  }

  /** Gives up those that wait for a neighbour. */
  drop(key: Key): void {
    for (const packet of this.take(key)) this.#giveUp(packet);
  }

  /** Drops a packet that cannot even wait. */
  giveUp(key: Key, page: Page, offset: number, length: number): void {
    this.#giveUp({ key, page, offset, length });
  }

  /** Tells of what was given up, lending the pages. */
  report(unreachable: (page: Page, offset: number, length: number) => void): void {
    const packets = this.#givenUp;
    if (packets.length === 0) return;
    this.#givenUp = [];
    for (const { page, offset, length } of packets) {
      // Who was told may have closed us.
      if (!this.#isClosed) unreachable(page, offset, length);
      this.#events.release(page);
    }
  }

  /** Drops all, and tells nobody. */
  clear(): void {
    for (const { page } of [...this.#waiting, ...this.#givenUp]) this.#events.release(page);
    this.#waiting = [];
    this.#givenUp = [];
  }

  /** Drops all, and keeps nothing from now on. */
  close(): void {
    this.#isClosed = true;
    this.clear();
  }

  #giveUp(packet: WaitingPacket<Key>): void {
    this.#statistics.waitingDropped++;
    if (this.#isClosed || this.#givenUp.length >= this.#inAll) {
      this.#events.release(packet.page);
      return;
    }
    this.#givenUp.push(packet);
    this.#events.gaveUp();
  }
}
