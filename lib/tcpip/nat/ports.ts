import type { Random } from "@tesserae/device/random";
import { SipHash } from "@tesserae/wire/siphash";

/** The ports that mappings may have outside: by default those that neither servers nor our own clients use. */
export interface PortRange {
  /** Default 16,384. */
  readonly first: number;
  /** Default 49,151: our own sockets take theirs from 49,152 on. */
  readonly last: number;
}

export const usualPorts: PortRange = { first: 16_384, last: 49_151 };
/** How far from its first choice a port is looked for. */
const mostSteps = 4096;

/**
 * Chooses outside ports: by a keyed hash of the inside endpoint (RFC 6056 §3.3.3), so that outsiders cannot guess them
 * and an endpoint that comes back mostly gets the port it had. Even ports stay even and odd ones odd (RFC 4787 §4.2.2).
 */
export class PortChoice {
  readonly #range: PortRange;
  readonly #hash: SipHash;

  /** @throws RangeError when the range is none. */
  constructor(range: PortRange, random: Random) {
    const { first, last } = range;
    if (!(Number.isInteger(first) && Number.isInteger(last) && first >= 1 && first + 1 < last && last <= 65_535)) {
      throw new RangeError(`ports ${first}–${last} are no range within 1–65535`);
    }
    this.#range = range;
    const key = new Uint8Array(16);
    random.fill(key);
    this.#hash = new SipHash(key);
  }

  /**
   * A port for an inside endpoint.
   *
   * @returns 0 when none was found.
   */
  choose(protocol: number, inside: number, port: number, isTaken: (port: number) => boolean): number {
    const { first, last } = this.#range;
    const start = (first & 1) === (port & 1) ? first : first + 1;
    const count = ((last - start) >>> 1) + 1;
    this.#hash.start();
    this.#hash.word(inside);
    this.#hash.word((protocol << 16) | port);
    const from = (this.#hash.finish() >>> 0) % count;
    for (let step = 0; step < Math.min(count, mostSteps); step++) {
      const candidate = start + ((from + step) % count) * 2;
      if (!isTaken(candidate)) return candidate;
    }
    return 0;
  }
}
