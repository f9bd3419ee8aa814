import type { Block } from "@tesserae/device/block";
import type { Netif } from "@tesserae/device/netif";
import type { ImagePlan } from "@tesserae/image/plan";
import { StartError } from "@tesserae/node/run-process";

/** What the machine has for an image, started. */
export interface Hardware {
  readonly netifs: readonly Netif[];
  readonly blocks: readonly Block[];
  /** Calls back each time that the machine is asked from outside to end. @returns ends it */
  onPowerButton(callback: () => void): () => void;
  /** Closes the devices. */
  close(): Promise<void>;
}

/** How devices of a kind are called, and how one is given to a machine. */
export interface DeviceWords {
  readonly what: string;
  readonly advice: string;
}

/**
 * The devices for those of a kind that the image has, in order.
 *
 * @param there what the machine has of the kind
 * @param notes on what was passed over
 * @throws StartError when it lacks one.
 */
export function wanted<T>(
  plan: ImagePlan,
  kind: "netif" | "block",
  there: readonly T[],
  { what, advice }: DeviceWords,
  notes: readonly string[] = [],
): readonly T[] {
  const ids = plan.devices.filter((each) => each.base === true && each.kind === kind).map((each) => each.id);
  const missing = ids[there.length];
  if (missing !== undefined) {
    const has = there.length === 0 ? `no ${what}` : `only ${String(there.length)} of the kind`;
    const passed = notes.length === 0 ? "" : `; passed over: ${notes.join("; ")}`;
    throw new StartError(`device "${missing}" needs a ${what}, and this machine has ${has} (${advice})${passed}`);
  }
  return there.slice(0, ids.length);
}
