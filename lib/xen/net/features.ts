/** What both ends of a network device publish, and find of the other (Xen's `io/netif.h`). */

import type { DeviceNodes, OtherEnd } from "../bus/other-end.ts";

/** Prefix of a queue's nodes: none where there is one queue only. */
export function queuePath(index: number, count: number): string {
  return count === 1 ? "" : `queue-${String(index)}/`;
}

/** What an end accepts of the other. */
export interface Features {
  /** Frames may come without checksum. */
  readonly checksum4: boolean;
  readonly checksum6: boolean;
  /** Frames may come with several TCP segments, in several pieces. */
  readonly segmentation4: boolean;
  readonly segmentation6: boolean;
  /** Frames may come in several pieces: those of an MTU above 4082 need it. */
  readonly scatter: boolean;
}

/** The features that the other end tells of. */
export async function readFeatures(end: OtherEnd): Promise<Features> {
  const [scatter, noChecksum, checksum6, segmentation4, segmentation6] = await Promise.all([
    end.readFlag("feature-sg"),
    end.readFlag("feature-no-csum-offload"),
    end.readFlag("feature-ipv6-csum-offload"),
    end.readFlag("feature-gso-tcpv4"),
    end.readFlag("feature-gso-tcpv6"),
  ]);
  return {
    checksum4: !noChecksum,
    checksum6,
    segmentation4: scatter && segmentation4,
    segmentation6: scatter && segmentation6,
    scatter,
  };
}

/** The nodes that tell of all features, or of none but pieces. */
export function describeFeatures(offload: boolean): DeviceNodes {
  const on = offload ? 1 : 0;
  return {
    "feature-sg": 1,
    "feature-no-csum-offload": 1 - on,
    "feature-ipv6-csum-offload": on,
    "feature-gso-tcpv4": on,
    "feature-gso-tcpv6": on,
  };
}
