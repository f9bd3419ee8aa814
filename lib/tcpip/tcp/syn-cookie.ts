import type { EndpointPair } from "./demux.ts";
import type { InitialNumbers } from "./isn.ts";

/**
 * SYN cookies (RFC 4987 §3.6): when the queue of half-open connections is full, the SYN-ACK's number carries what we
 * would have kept, and a keyed hash that says that it is ours. 5 bits of time, 3 of MSS, 24 of hash. Window scaling
 * and timestamps are lost on such a connection.
 */

/** The MSS values that three bits can tell; the peer's is rounded down. */
const mssTable = [216, 536, 940, 1200, 1360, 1440, 1460, 8960] as const;
/** One tick of the cookie's clock, milliseconds. A cookie is good for the present tick and the one before. */
export const cookieTick = 64_000;

/** Our initial sequence number for a SYN with number `irs` and that MSS option. */
export function makeCookie(numbers: InitialNumbers, pair: EndpointPair, irs: number, mss: number, now: number): number {
  let index = 0;
  for (let candidate = 0; candidate < mssTable.length; candidate++) {
    if ((mssTable[candidate] ?? Infinity) <= mss) index = candidate;
  }
  const tick = Math.floor(now / cookieTick);
  return ((tick & 31) << 27) | (index << 24) | (hash(numbers, pair, irs, tick, index) & 0xffffff);
}

/** The MSS in a cookie that came back, or −1 when it is not one of ours, or too old. */
export function checkCookie(
  numbers: InitialNumbers,
  pair: EndpointPair,
  irs: number,
  cookie: number,
  now: number,
): number {
  const index = (cookie >>> 24) & 7;
  const present = Math.floor(now / cookieTick);
  for (let tick = present; tick >= present - 1; tick--) {
    if ((tick & 31) !== cookie >>> 27) continue;
    if ((hash(numbers, pair, irs, tick, index) & 0xffffff) === (cookie & 0xffffff)) return mssTable[index] ?? -1;
  }
  return -1;
}

function hash(numbers: InitialNumbers, pair: EndpointPair, irs: number, tick: number, index: number): number {
  return numbers.cookie(pair.local, pair.localPort, pair.remote, pair.remotePort, irs, (tick << 3) | index);
}
