import type { IpAddress } from "@tesserae/device/address";
import type { Clock, Timers } from "@tesserae/device/clock";
import type { Random } from "@tesserae/device/random";

/** Milliseconds that a server of which nothing is known has; and the bounds for those that are known (RFC 6298). */
const unknownTimeout = 400;
const leastTimeout = 60;
const mostTimeout = 4000;
/** Servers are equally good when they are within so many milliseconds: forgers do not know which is asked. */
const band = 40;
/** After so many timeouts in a row a server is asked again only now and then, milliseconds. */
const failuresUntilRest = 3;
const rest = 30_000;
/** For how long a server that does not know a zone is not asked about it, milliseconds. */
const lameFor = 300_000;
const mostLame = 64;

/** What experience says of one server (an address). */
export class ServerState {
  readonly address: IpAddress;
  /** Milliseconds; 0 as long as there was no answer. */
  roundTrip = 0;
  variation = 0;
  /** Timeouts since the last answer. */
  failures = 0;
  failedAt = 0;
  /** Whether it is asked with EDNS: it said that it does not know it otherwise. */
  edns = true;
  /** Queries under way; see {@link begin} and {@link end}. */
  outstanding = 0;
  /** RFC 7873: ours for this server, and what it answered; empty as long as it has none. */
  readonly clientCookie: Uint8Array;
  serverCookie: Uint8Array = new Uint8Array();
  /** Until when it is not asked, by zone. */
  readonly #lame = new Map<string, number>();
  /** Who waits until a query is over, in order. */
  readonly #waiting = new Set<() => void>();

  constructor(address: IpAddress, random: Random) {
    this.address = address;
    this.clientCookie = new Uint8Array(8);
    random.fill(this.clientCookie);
  }

  /** Milliseconds after which another server is asked as well. */
  get timeout(): number {
    const base = this.roundTrip === 0 ? unknownTimeout : this.roundTrip + Math.max(4 * this.variation, 20);
    return Math.min(mostTimeout, Math.max(leastTimeout, base) * 2 ** Math.min(this.failures, 6));
  }

  begin(): void {
    this.outstanding++;
  }

  end(): void {
    this.outstanding--;
    for (const wake of this.#waiting) {
      this.#waiting.delete(wake);
      wake();
      return;
    }
  }

  /** Waits in turn until a query is over, for `ms` milliseconds at most. */
  ended(timers: Timers, ms: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        timer.cancel();
        resolve();
      };
      const timer = timers.timer(() => {
        this.#waiting.delete(wake);
        resolve();
      });
      timer.set(timers.now() + ms);
      this.#waiting.add(wake);
    });
  }

  answered(ms: number): void {
    this.failures = 0;
    if (this.roundTrip === 0) {
      this.roundTrip = Math.max(1, ms);
      this.variation = ms / 2;
      return;
    }
    this.variation = (3 * this.variation + Math.abs(this.roundTrip - ms)) / 4;
    this.roundTrip = Math.max(1, (7 * this.roundTrip + ms) / 8);
  }

  timedOut(now: number): void {
    this.failures++;
    this.failedAt = now;
  }

  /** Whether it is left alone for now. */
  rests(now: number): boolean {
    return this.failures >= failuresUntilRest && now < this.failedAt + rest;
  }

  markLame(zone: string, now: number): void {
    if (this.#lame.size >= mostLame) {
      for (const oldest of this.#lame.keys()) {
        this.#lame.delete(oldest);
        break;
      }
    }
    this.#lame.set(zone, now + lameFor);
  }

  isLame(zone: string, now: number): boolean {
    const until = this.#lame.get(zone);
    if (until === undefined) return false;
    if (now < until) return true;
    this.#lame.delete(zone);
    return false;
  }
}

/** All servers that were asked lately; the one asked longest ago goes first. */
export class ServerTable {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #capacity: number;
  readonly #servers = new Map<string, ServerState>();

  constructor(clock: Clock, random: Random, capacity: number) {
    this.#clock = clock;
    this.#random = random;
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#servers.size;
  }

  of(address: IpAddress): ServerState {
    const key = address.toString();
    let state = this.#servers.get(key);
    if (state === undefined) {
      state = new ServerState(address, this.#random);
      if (this.#servers.size >= this.#capacity) this.#evict();
    } else {
      this.#servers.delete(key);
    }
    this.#servers.set(key, state);
    return state;
  }

  /**
   * The one to ask: among the quickest any one, and now and then any of the others, as times change.
   *
   * @param tried how often each was asked already for the same
   */
  choose(addresses: readonly IpAddress[], zone: string, tried: ReadonlyMap<string, number>): ServerState | undefined {
    const now = this.#clock.now();
    const usable = addresses
      .map((address) => this.of(address))
      .filter((server) => !server.isLame(zone, now) && (tried.get(server.address.toString()) ?? 0) < 3);
    if (usable.length === 0) return undefined;
    const cost = (server: ServerState): number =>
      server.timeout + (server.rests(now) ? 100_000 : 0) + 10_000 * (tried.get(server.address.toString()) ?? 0);
    if (usable.length > 1 && this.#random.uint32() % 32 === 0) {
      const any = usable[this.#random.uint32() % usable.length];
      if (any !== undefined && cost(any) < 10_000) return any;
    }
    const least = usable.reduce((low, server) => Math.min(low, cost(server)), Infinity);
    const best = usable.filter((server) => cost(server) <= least + band);
    return best[this.#random.uint32() % best.length];
  }

  #evict(): void {
    for (const [key, { outstanding }] of this.#servers) {
      if (outstanding > 0) continue;
      this.#servers.delete(key);
      return;
    }
  }
}
