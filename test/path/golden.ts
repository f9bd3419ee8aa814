// The golden table: which paths TCP is tried on, and what theory says of each.
import type { LinkSettings } from "@tesserae/sim/link-settings";

/** One path: the same both ways. */
export interface Cell {
  /** The probability that a frame is lost, each way. */
  readonly loss: number;
  /** Milliseconds. */
  readonly roundTrip: number;
  /** Bits a second, Ethernet headers counted. */
  readonly bandwidth: number;
}

export const losses: readonly number[] = [0, 0.001, 0.01, 0.03, 0.05, 0.1];
export const roundTrips: readonly number[] = [1, 20, 100, 300];
export const bandwidths: readonly number[] = [1e7, 1e8, 1e9, 1e10];

/** All 96 of them, the lossless first. */
export const cells: readonly Cell[] = losses.flatMap((loss) =>
  roundTrips.flatMap((roundTrip) => bandwidths.map((bandwidth) => ({ loss, roundTrip, bandwidth }))),
);

/** As in `1 Gb/s, 20 ms, 0.1 %`. */
export function nameOf({ loss, roundTrip, bandwidth }: Cell): string {
  return `${rateName(bandwidth)}, ${roundTrip} ms, ${lossName(loss)}`;
}

export function rateName(bandwidth: number): string {
  return bandwidth >= 1e9 ? `${bandwidth / 1e9} Gb/s` : `${bandwidth / 1e6} Mb/s`;
}

export function lossName(loss: number): string {
  return `${Number((loss * 100).toFixed(3))} %`;
}

const smallestQueue = 131_072;
const largestQueue = 16_777_216;

/** One bandwidth-delay product of queue, from 128 KiB to 16 MiB: what routers have. */
export function linkOf({ loss, roundTrip, bandwidth }: Cell): LinkSettings {
  const product = (bandwidth * roundTrip) / 8000;
  const queue = Math.min(largestQueue, Math.max(smallestQueue, product));
  return { bandwidth, delay: roundTrip / 2, loss, queue };
}

/** Payload of a full segment at an MTU of 1500, with timestamps, and its frame. */
const payload = 1448;
const frame = 1514;

/** The most payload that the link carries, in bits a second. */
export function capacity({ bandwidth }: Cell): number {
  return (bandwidth * payload) / frame;
}

/**
 * What a long transfer under random loss should come to, in bits a second: the larger of what CUBIC's and New Reno's
 * windows average (RFC 9438 §5.1, RFC 5348 §3.1 with its timeouts), and at most {@link capacity}.
 */
export function expectation(cell: Cell): number {
  const { loss, roundTrip } = cell;
  if (loss === 0) return capacity(cell);
  const seconds = roundTrip / 1000;
  const timeout = Math.max(0.2 + seconds, 2 * seconds);
  const timeouts = timeout * Math.min(1, 3 * Math.sqrt((3 * loss) / 8)) * loss * (1 + 32 * loss * loss);
  const reno = 1 / (seconds * Math.sqrt((2 * loss) / 3) + timeouts);
  // C = 0.4, β = 0.7.
  const cubic = (((0.4 * 3.7) / (4 * 0.3)) ** 0.25 * (seconds / loss) ** 0.75) / seconds;
  return Math.min(capacity(cell), Math.max(reno, loss < 0.03 ? cubic : 0) * payload * 8);
}

/**
 * What a transfer of so many bytes should come to without loss, in bits a second: slow start from ten segments, doubling
 * each round trip until the link is full, then {@link capacity}.
 */
export function losslessExpectation(cell: Cell, bytes: number): number {
  const rate = capacity(cell) / 8000;
  const full = rate * cell.roundTrip;
  let sent = 0;
  let milliseconds = 0;
  for (let window = 10 * payload; window < full && sent + window < bytes; window *= 2) {
    sent += window;
    milliseconds += cell.roundTrip;
  }
  return (bytes * 8000) / (milliseconds + (bytes - sent) / rate);
}
