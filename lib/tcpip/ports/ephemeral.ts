import type { Random } from "@tesserae/device/random";

/** IANA's dynamic ports (RFC 6335 §6). */
export const firstEphemeralPort = 49_152;
export const lastEphemeralPort = 65_535;

/** Which ephemeral ports may be taken: those that give `index` when divided by `count`. See `NetifQueue`. */
export interface PortShare {
  readonly index: number;
  readonly count: number;
}

/** All of them. */
export const everyPort: PortShare = { index: 0, count: 1 };

/**
 * A free port chosen at random, from there on the next free one (RFC 6056 §3.3.1).
 *
 * @returns 0 when all are taken.
 */
export function ephemeralPort(
  random: Random,
  isTaken: (port: number) => boolean,
  { index, count }: PortShare = everyPort,
): number {
  const first = firstEphemeralPort + ((((index - firstEphemeralPort) % count) + count) % count);
  const places = Math.floor((lastEphemeralPort - first) / count) + 1;
  const start = random.uint32() % places;
  for (let step = 0; step < places; step++) {
    const port = first + ((start + step) % places) * count;
    if (!isTaken(port)) return port;
  }
  return 0;
}
