import type { Random } from "@tesserae/device/random";

/** IANA's dynamic ports (RFC 6335 §6). */
export const firstEphemeralPort = 49_152;
export const lastEphemeralPort = 65_535;

/**
 * A free port chosen at random, from there on the next free one (RFC 6056 §3.3.1).
 *
 * @returns 0 when all are taken.
 */
export function ephemeralPort(random: Random, isTaken: (port: number) => boolean): number {
  const count = lastEphemeralPort - firstEphemeralPort + 1;
  const start = random.uint32() % count;
  for (let step = 0; step < count; step++) {
    const port = firstEphemeralPort + ((start + step) % count);
    if (!isTaken(port)) return port;
  }
  return 0;
}
