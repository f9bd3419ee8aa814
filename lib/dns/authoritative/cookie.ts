import type { IpAddress } from "@tesserae/device/address";
import type { Clock } from "@tesserae/device/clock";
import type { Random } from "@tesserae/device/random";
import { putU32, u32At, u8At } from "./octets.ts";
import { SipHash } from "@tesserae/wire/siphash";

export const clientCookieLength = 8;
/** What {@link Cookies.write} writes: the client's part and ours. */
export const cookieLength = 24;
/** A cookie is good for an hour, and may come from five minutes in the future (RFC 9018 §4.3), seconds. */
const oldest = 3600;
const newest = 300;
const version = 1;

/**
 * Server cookies (RFC 7873) as all servers of RFC 9018 make them: version 1, a timestamp, and SipHash-2-4 over them, the
 * client's cookie and its address. Whoever has the same secret accepts them.
 */
export class Cookies {
  readonly #clock: Clock;
  readonly #current: SipHash;
  readonly #previous: SipHash | undefined;
  readonly #text = new Uint8Array(clientCookieLength + 8 + 16);

  /**
   * @param secrets 16 bytes each: the first makes cookies, all are accepted (RFC 9018 §5)
   * @throws RangeError when one has another length, or there are none or more than two.
   */
  constructor(clock: Clock, secrets: readonly Uint8Array[]) {
    const [current, previous] = secrets;
    if (current === undefined || secrets.length > 2) throw new RangeError(`one or two secrets, not ${secrets.length}`);
    this.#clock = clock;
    this.#current = new SipHash(current);
    this.#previous = previous === undefined ? undefined : new SipHash(previous);
  }

  /** Those of one server alone, until it ends. */
  static withRandomSecret(clock: Clock, random: Random): Cookies {
    const secret = new Uint8Array(16);
    random.fill(secret);
    return new Cookies(clock, [secret]);
  }

  /** Whether the cookie `bytes[at … at + length)`, a client's and a server's part, is one of ours for this client. */
  isOurs(bytes: Uint8Array, at: number, length: number, client: IpAddress): boolean {
    if (length !== cookieLength || u8At(bytes, at + clientCookieLength) !== version) return false;
    const age = (this.#now() - u32At(bytes, at + 12)) | 0;
    if (age > oldest || age < -newest) return false;
    const size = this.#fill(bytes, at, u32At(bytes, at + 8), u32At(bytes, at + 12), client);
    if (this.#current.matches(this.#text, size, bytes, at + 16)) return true;
    return this.#previous?.matches(this.#text, size, bytes, at + 16) === true;
  }

  /** Writes a whole cookie, {@link cookieLength} bytes, for the client's cookie at `at` of `bytes`. */
  write(bytes: Uint8Array, at: number, client: IpAddress, out: Uint8Array, outAt: number): void {
    for (let index = 0; index < clientCookieLength; index++) out[outAt + index] = u8At(bytes, at + index);
    putU32(out, outAt + 8, version << 24);
    putU32(out, outAt + 12, this.#now());
    const size = this.#fill(bytes, at, u32At(out, outAt + 8), u32At(out, outAt + 12), client);
    this.#current.write(this.#text, size, out, outAt + 16);
  }

  #now(): number {
    return Math.floor(this.#clock.wall() / 1000) >>> 0;
  }

  #fill(bytes: Uint8Array, at: number, first: number, timestamp: number, client: IpAddress): number {
    const text = this.#text;
    for (let index = 0; index < clientCookieLength; index++) text[index] = u8At(bytes, at + index);
    putU32(text, 8, first);
    putU32(text, 12, timestamp);
    if (client.family === 4) {
      putU32(text, 16, client.w3);
      return 20;
    }
    putU32(text, 16, client.w0);
    putU32(text, 20, client.w1);
    putU32(text, 24, client.w2);
    putU32(text, 28, client.w3);
    return 32;
  }
}
