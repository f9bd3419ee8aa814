import type { IpAddress } from "@tesserae/device/address";
import type { InitialNumbers } from "./isn.ts";
import { maxFastOpenCookie } from "./wire.ts";

/** Bytes of the cookies that we give, as Linux does. */
export const fastOpenCookieSize = 8;
/** A cookie is good for the hour in which it was given and the next, milliseconds (RFC 7413 §4.1.2). */
const cookieHour = 3_600_000;
/** How long the place of a connection that a reset has ended stays taken, milliseconds. */
const resetHold = 60_000;
/** How long a peer is believed not to do it, milliseconds (RFC 7413 §4.1.3). */
const refusal = 600_000;

/** The cookies that this host gives to its clients (RFC 7413 §4.1.2): what only those at that address can know. */
export class FastOpenCookies {
  readonly #numbers: InitialNumbers;

  constructor(numbers: InitialNumbers) {
    this.#numbers = numbers;
  }

  /** Writes the present cookie of the client `remote` of `local` to `into`, {@link fastOpenCookieSize} bytes. */
  write(local: IpAddress, remote: IpAddress, now: number, into: Uint8Array): void {
    const hour = Math.floor(now / cookieHour);
    for (let half = 0; half < 2; half++) {
      const word = this.#numbers.fastOpen(local, remote, hour, half);
      for (let index = 0; index < 4; index++) into[half * 4 + index] = word >>> (index * 8);
    }
  }

  /** Whether `cookie` is one that the client has from us, and not too old. */
  isGood(local: IpAddress, remote: IpAddress, now: number, cookie: Uint8Array, length: number): boolean {
    if (length !== fastOpenCookieSize) return false;
    const present = Math.floor(now / cookieHour);
    for (let hour = present; hour >= present - 1; hour--) {
      // All of it, whatever differs: how long it takes tells nothing.
      let difference = 0;
      for (let half = 0; half < 2; half++) {
        const word = this.#numbers.fastOpen(local, remote, hour, half);
        for (let index = 0; index < 4; index++) {
          difference |= (cookie[half * 4 + index] ?? 0) ^ ((word >>> (index * 8)) & 255);
        }
      }
      if (difference === 0) return true;
    }
    return false;
  }
}

/**
 * How many connections of a listener may have been opened by data in a SYN without their handshake being complete
 * (RFC 7413 §5.1): a bound on what somebody gets done under addresses that are not his own. A place that a reset has
 * emptied stays taken for a minute, or he could have the address's owner empty them.
 */
export class FastOpenPlaces {
  readonly limit: number;
  #pending = 0;
  /** Until when, each of them later than the one before. */
  readonly #held: number[] = [];

  constructor(limit: number) {
    this.limit = limit;
  }

  /** Takes a place. @returns false when there is none. */
  take(now: number): boolean {
    while (this.#held.length > 0 && (this.#held[0] ?? 0) <= now) this.#held.shift();
    if (this.#pending + this.#held.length >= this.limit) return false;
    this.#pending++;
    return true;
  }

  /** The handshake is complete, or there will be none. */
  free(): void {
    this.#pending--;
  }

  /** A reset came in place of the handshake's end. */
  reset(now: number): void {
    this.#pending--;
    this.#held.push(now + resetHold);
  }
}

interface KnownPeer {
  /** Empty: the peer does not do it, until `expires`. */
  readonly cookie: Uint8Array;
  /** Bytes that a SYN to it may carry, its options counted. */
  readonly mss: number;
  readonly expires: number;
}

/** What peers have given us, or that they give nothing (RFC 7413 §4.1.3). Bounded: the oldest gives way. */
export class FastOpenPeers {
  readonly #capacity: number;
  readonly #peers = new Map<string, KnownPeer>();

  constructor(capacity = 256) {
    this.#capacity = capacity;
  }

  /** `undefined`: nothing is known, so that it may be asked. */
  get(remote: IpAddress, now: number): KnownPeer | undefined {
    const key = remote.toString();
    const known = this.#peers.get(key);
    if (known === undefined || known.expires > now) return known;
    this.#peers.delete(key);
    return undefined;
  }

  /** `cookie[0 … length)` was given, with that MSS. */
  learn(remote: IpAddress, cookie: Uint8Array, length: number, mss: number): void {
    this.#set(remote, { cookie: cookie.slice(0, Math.min(length, maxFastOpenCookie)), mss, expires: Infinity });
  }

  /** The peer has nothing to do with it, or somebody on the way. */
  refuse(remote: IpAddress, now: number): void {
    this.#set(remote, { cookie: new Uint8Array(0), mss: 0, expires: now + refusal });
  }

  #set(remote: IpAddress, known: KnownPeer): void {
    const key = remote.toString();
    if (!this.#peers.delete(key) && this.#peers.size >= this.#capacity) {
      for (const oldest of this.#peers.keys()) {
        this.#peers.delete(oldest);
        break;
      }
    }
    this.#peers.set(key, known);
  }
}
