import type { IpAddress } from "@tesserae/device/address";
import type { Clock } from "@tesserae/device/clock";
import type { Random } from "@tesserae/device/random";
import { i32At, u16At, u8At } from "./octets.ts";

/** How fast one network may be answered over UDP, so that answers to forged sources hurt nobody. */
export interface RateLimitOptions {
  /** Responses of one kind a second to one network. Default 200. */
  readonly perSecond?: number;
  /** Every how many responses above the rate a short, truncated one goes out, so that who is real can come by TCP; 0: never. Default 2. */
  readonly slip?: number;
  /** The length of the prefix that makes a network. Default 24 (IPv4) and 56 (IPv6) bits. */
  readonly prefix4?: number;
  readonly prefix6?: number;
  /** Networks and kinds that are counted at once; a power of two. Default 65,536, which take 1 MiB. */
  readonly entries?: number;
}

/** What is to be done with a response. */
export const verdict = { send: 0, truncate: 1, drop: 2 } as const;

/** How many seconds of unused rate are saved up. */
const burst = 2;

/**
 * Response-rate limiting as name servers do it: responses are counted by the network they go to and their kind, in a
 * table of fixed size. A network that meets another in its place takes it over with half of a second's rate, so that
 * neither flushing the table nor sharing a place gets far above the rate. Time and space per response are constant.
 */
export class RateLimit {
  readonly #clock: Clock;
  readonly #rate: number;
  readonly #slip: number;
  readonly #prefix4: number;
  readonly #prefix6: number;
  readonly #mask: number;
  readonly #seed: number;
  /** For each place: whose it is, and how many responses it has left, in thousandths; when that was true, ms; slips. */
  readonly #owners: Int32Array;
  readonly #left: Int32Array;
  readonly #times: Int32Array;
  readonly #over: Int32Array;

  /** @throws RangeError when an option is out of range. */
  constructor(clock: Clock, random: Random, options: RateLimitOptions = {}) {
    const { perSecond = 200, slip = 2, prefix4 = 24, prefix6 = 56, entries = 65_536 } = options;
    if (!(perSecond >= 1 && perSecond <= 1e6))
      throw new RangeError(`perSecond must be from 1 to 10⁶, not ${perSecond}`);
    if (!(Number.isInteger(slip) && slip >= 0)) throw new RangeError(`slip must be an integer from 0, not ${slip}`);
    if (!(prefix4 >= 1 && prefix4 <= 32)) throw new RangeError(`prefix4 must be from 1 to 32, not ${prefix4}`);
    if (!(prefix6 >= 1 && prefix6 <= 64)) throw new RangeError(`prefix6 must be from 1 to 64, not ${prefix6}`);
    if (!(entries >= 16 && entries <= 2 ** 24) || (entries & (entries - 1)) !== 0) {
      throw new RangeError(`entries must be a power of two from 16 to 2^24, not ${entries}`);
    }
    this.#clock = clock;
    this.#rate = perSecond;
    this.#slip = slip;
    this.#prefix4 = prefix4;
    this.#prefix6 = prefix6;
    this.#mask = entries - 1;
    this.#seed = random.uint32() | 0;
    this.#owners = new Int32Array(entries);
    this.#left = new Int32Array(entries);
    this.#times = new Int32Array(entries);
    this.#over = new Int32Array(entries);
  }

  /** What to do with the response at `base` of `bytes`, which goes to `client`: one of {@link verdict}. */
  check(client: IpAddress, bytes: Uint8Array, base: number): number {
    let hash = mix(this.#seed ^ kindOf(bytes, base));
    if (client.family === 4) {
      hash = mix(hash ^ (client.w3 >>> (32 - this.#prefix4)));
    } else {
      const low = this.#prefix6 - 32;
      hash = mix(hash ^ (low >= 0 ? client.w0 : client.w0 >>> -low));
      if (low > 0) hash = mix(hash ^ (client.w1 >>> (32 - low)) ^ 0x55555555);
    }
    const place = hash & this.#mask;
    const full = this.#rate * burst * 1000;
    const now = Math.floor(this.#clock.now()) | 0;
    let left: number;
    if (i32At(this.#owners, place) !== hash) {
      this.#owners[place] = hash;
      this.#over[place] = 0;
      left = this.#rate * 500;
    } else {
      const elapsed = (now - i32At(this.#times, place)) | 0;
      // A place that was not used for long has times on the other side of the wrap.
      left =
        elapsed < 0 || elapsed > burst * 1000 ? full : Math.min(full, i32At(this.#left, place) + elapsed * this.#rate);
    }
    this.#times[place] = now;
    if (left >= 1000) {
      this.#left[place] = left - 1000;
      return verdict.send;
    }
    this.#left[place] = left;
    const over = i32At(this.#over, place) + 1;
    this.#over[place] = over;
    return this.#slip > 0 && over % this.#slip === 0 ? verdict.truncate : verdict.drop;
  }
}

/** Errors, answers, and the different ways to say no are counted apart. */
function kindOf(bytes: Uint8Array, base: number): number {
  const code = u8At(bytes, base + 3) & 15;
  if (code !== 0) return 16 + code;
  if (u16At(bytes, base + 6) > 0) return 1;
  return (u8At(bytes, base + 2) & 4) !== 0 ? 2 : 3;
}

function mix(word: number): number {
  let hash = Math.imul(word ^ (word >>> 16), 0x21f0aaad);
  hash = Math.imul(hash ^ (hash >>> 15), 0x735a2d97);
  return hash ^ (hash >>> 15);
}

/** Cuts a response down to its header and question, and says so: who is real asks again over TCP. Its length. */
export function truncate(bytes: Uint8Array, length: number): number {
  bytes[2] = u8At(bytes, 2) | 2;
  for (let at = 6; at < 12; at++) bytes[at] = 0;
  if (u16At(bytes, 4) === 0) return 12;
  let at = 12;
  while (at < length && u8At(bytes, at) !== 0) at += u8At(bytes, at) + 1;
  return at + 5;
}
