import type { IpAddress } from "@tesserae/device/address";
import type { Random } from "@tesserae/device/random";
import { SipHash } from "@tesserae/wire/siphash";

/**
 * What a connection starts with (RFC 6528 §3, RFC 7323 §5.4): numbers that grow for one pair of endpoints, so that a
 * new connection is not taken for the old one, and that tell an outsider nothing about those of another pair.
 */
export class InitialNumbers {
  readonly #hash: SipHash;

  constructor(random: Random) {
    const key = new Uint8Array(16);
    random.fill(key);
    this.#hash = new SipHash(key);
  }

  /** ISN = M + F(local, remote, secret); M ticks every 4 µs. `now` in milliseconds. */
  sequence(local: IpAddress, localPort: number, remote: IpAddress, remotePort: number, now: number): number {
    // A double holds 4 µs ticks exactly for a thousand years; the conversion takes them modulo 2³².
    return (this.#endpoints(local, localPort, remote, remotePort, 0) + Math.floor(now * 250)) | 0;
  }

  /** What is added to the clock in timestamps: the same for each connection between two hosts (RFC 7323 §5.4). */
  timestampOffset(local: IpAddress, remote: IpAddress): number {
    return this.#endpoints(local, 0, remote, 0, 1);
  }

  /** What a SYN cookie is checked by: depends on the peer's number and on `data`, too. */
  cookie(
    local: IpAddress,
    localPort: number,
    remote: IpAddress,
    remotePort: number,
    irs: number,
    data: number,
  ): number {
    this.#start(local, localPort, remote, remotePort, 2);
    this.#hash.word(irs);
    this.#hash.word(data);
    return this.#hash.finish();
  }

  /** Half 0 or 1 of a Fast Open cookie: depends on the two addresses and on the time, `hour`. */
  fastOpen(local: IpAddress, remote: IpAddress, hour: number, half: number): number {
    this.#start(local, 0, remote, 0, 3 + half);
    this.#hash.word(hour);
    return this.#hash.finish();
  }

  /** Keyed hash of two endpoints and a purpose, 32 bits. */
  #endpoints(local: IpAddress, localPort: number, remote: IpAddress, remotePort: number, purpose: number): number {
    this.#start(local, localPort, remote, remotePort, purpose);
    return this.#hash.finish();
  }

  #start(local: IpAddress, localPort: number, remote: IpAddress, remotePort: number, purpose: number): void {
    const hash = this.#hash;
    hash.start();
    if (local.family === 6) {
      hash.word(local.w0);
      hash.word(local.w1);
      hash.word(local.w2);
      hash.word(remote.w0);
      hash.word(remote.w1);
      hash.word(remote.w2);
    }
    hash.word(local.w3);
    hash.word(remote.w3);
    hash.word((localPort << 16) | remotePort);
    hash.word(purpose);
  }
}
