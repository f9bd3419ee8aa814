import type { CongestionControl } from "./congestion.ts";
import { Cubic } from "./cubic.ts";
import { NewReno } from "./new-reno.ts";

/** The congestion controls there are: RFC 9438, and RFC 5681 with 6582. */
export type CongestionName = "cubic" | "newreno";

export const congestionNames: readonly CongestionName[] = ["cubic", "newreno"];

/**
 * A congestion control at its start.
 *
 * @param mss bytes of payload in a full segment
 * @param marksCountLess whether a mark reduces the window less than a loss does (RFC 8511)
 * @param paced whether a window that opens at once makes no burst
 */
export function createCongestion(
  name: CongestionName,
  mss: number,
  marksCountLess: boolean,
  paced: boolean,
): CongestionControl {
  return name === "cubic" ? new Cubic(mss, marksCountLess, paced) : new NewReno(mss, marksCountLess, paced);
}
