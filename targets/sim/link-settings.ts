import { checkDistribution, type Distribution } from "./distribution.ts";
import { checkLoss, type LossModel } from "./loss-model.ts";
import { checkQueue, type QueueSettings } from "./queue.ts";

/** How a link treats frames. Probabilities are from 0 to 1 and are drawn for each frame from the link's own stream. */
export interface LinkSettings {
  /** Bits a second. Default: no limit. */
  readonly bandwidth?: number;
  /** One way, in milliseconds. Default 0.1. */
  readonly delay?: number;
  /** What each frame takes longer: up to this many milliseconds, uniformly distributed, or as it says. Default 0. */
  readonly jitter?: number | Distribution;
  /** Whether jitter lets a frame overtake others. Default false: order is kept. */
  readonly overtake?: boolean;
  /**
   * With a bandwidth: what waits to be sent, and what is dropped there. A number is a drop-tail queue of so many bytes.
   * Default 262,144.
   */
  readonly queue?: number | QueueSettings;
  /** Which frames are lost: each with this probability, or as it says. Default 0. */
  readonly loss?: number | LossModel;
  /** The probability that a frame is held back by `reorderDelay`, so that later ones overtake it. Default 0. */
  readonly reorder?: number;
  /** Milliseconds. Default: a tenth of the delay, and at least 1. */
  readonly reorderDelay?: number;
  /** The probability that a frame arrives twice. Default 0. */
  readonly duplicate?: number;
  /** The probability that one bit behind a frame's Ethernet header is flipped. Default 0. */
  readonly corrupt?: number;
  /** The largest packet, in bytes without the Ethernet header: a longer one vanishes, and nobody is told. Default: any. */
  readonly mtu?: number;
}

/** Settings of both directions of a link, and what is different in one of them. */
export interface PathSettings extends LinkSettings {
  /** From the first end to the second; from a host to its LAN. */
  readonly forward?: LinkSettings;
  readonly backward?: LinkSettings;
}

/** {@link LinkSettings} with every default filled in. */
export type CompleteLinkSettings = Required<LinkSettings>;

/** @throws RangeError naming the setting that is out of range. */
export function completeLinkSettings(settings: LinkSettings): CompleteLinkSettings {
  const delay = settings.delay ?? 0.1;
  const complete: CompleteLinkSettings = {
    bandwidth: settings.bandwidth ?? Infinity,
    delay,
    jitter: settings.jitter ?? 0,
    overtake: settings.overtake ?? false,
    queue: settings.queue ?? 262_144,
    loss: settings.loss ?? 0,
    reorder: settings.reorder ?? 0,
    reorderDelay: settings.reorderDelay ?? Math.max(1, delay / 10),
    duplicate: settings.duplicate ?? 0,
    corrupt: settings.corrupt ?? 0,
    mtu: settings.mtu ?? Infinity,
  };
  checkLoss(complete.loss);
  checkQueue(complete.queue);
  for (const name of ["reorder", "duplicate", "corrupt"] as const) {
    const value = complete[name];
    if (!(value >= 0 && value <= 1)) throw new RangeError(`${name} ${String(value)} is not a probability from 0 to 1`);
  }
  const { jitter } = complete;
  if (typeof jitter !== "number") checkDistribution("jitter", jitter);
  for (const [name, value] of [
    ["delay", delay],
    ["jitter", typeof jitter === "number" ? jitter : 0],
    ["reorderDelay", complete.reorderDelay],
  ] as const) {
    if (!(value >= 0 && value <= 86_400_000)) {
      throw new RangeError(`${name} ${String(value)} is not from 0 to 86400000 milliseconds`);
    }
  }
  if (!(complete.bandwidth >= 1)) throw new RangeError(`bandwidth ${String(complete.bandwidth)} is below 1 bit/s`);
  if (!(complete.mtu >= 1)) throw new RangeError(`mtu ${String(complete.mtu)} is below 1`);
  return complete;
}

/** Whether a link with these settings changes nothing about any frame, and takes no time. */
export function isPlain(settings: CompleteLinkSettings): boolean {
  const { bandwidth, delay, jitter, loss, reorder, duplicate, corrupt, mtu } = settings;
  return (
    bandwidth === Infinity &&
    mtu === Infinity &&
    jitter === 0 &&
    loss === 0 &&
    delay + reorder + duplicate + corrupt === 0
  );
}

/** What holds for one direction: what both have, then what only that one has. */
export function ofDirection(settings: PathSettings, direction: "forward" | "backward"): LinkSettings {
  const { forward, backward, ...both } = settings;
  return { ...both, ...(direction === "forward" ? forward : backward) };
}
