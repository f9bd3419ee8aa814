import type { Timer, Timers } from "@tesserae/device/clock";
import type { XenDomain } from "@tesserae/xen/domain";
import { lookAgain } from "./look-again.ts";

/** What memory is given back to Xen in, in KiB (the kernel's `window.h`). */
const blockKib = 2048;
/** Blocks at a time: the kernel does nothing else meanwhile. */
const step = 16;
/** Milliseconds until what could not be done is tried again. */
const pause = 5000;
/** In KiB, what the toolstack wants the domain's memory to be, and the most that it can be. */
const target = "memory/target";
const most = "memory/static-max";

/** Where memory goes to. */
export interface Balloon {
  /** Does without so many blocks of 2 MiB. @returns how many it does without then: fewer where they are in use */
  doWithout(blocks: number): number;
}

/** What {@link followTarget} needs of the domain. */
export interface BalloonOptions {
  readonly domain: Pick<XenDomain, "xenstore">;
  readonly timers: Timers;
  readonly balloon: Balloon;
  /** Told when more is wanted back than is free, in KiB, once for each target. */
  readonly onShort?: (kib: number) => void;
}

/**
 * Gives memory back to Xen, or takes it again, as the toolstack asks (`xl mem-set`; Xen's docs/misc/xenstore-paths,
 * `~/memory/target`). What is in use stays, and is given later when it is free.
 *
 * @returns ends it; the memory stays as it is
 * @throws XenstoreError (rejects)
 */
export async function followTarget(options: BalloonOptions): Promise<() => Promise<void>> {
  const { domain, timers, balloon, onShort = () => undefined } = options;
  const { xenstore } = domain;
  let without = 0;
  let told = 0;
  let isOver = false;
  const kib = async (node: string): Promise<number> => {
    const text = (await xenstore.readIfThere(node)) ?? "";
    return /^\d{1,12}$/.test(text) ? Number(text) : 0;
  };
  const look = async (): Promise<void> => {
    const [wanted, all] = [await kib(target), await kib(most)];
    // A toolstack that says nothing wants nothing.
    const blocks = wanted === 0 ? 0 : Math.max(0, Math.floor((all - wanted) / blockKib));
    const next = without < blocks ? Math.min(blocks, without + step) : Math.max(blocks, without - step);
    if (next === without || isOver) return;
    without = balloon.doWithout(next);
    if (without === next) {
      retry.set(timers.now());
      return;
    }
    if (without < blocks && told !== wanted) {
      told = wanted;
      onShort((blocks - without) * blockKib);
    }
    retry.set(timers.now() + pause);
  };
  // When the store is gone nothing more is asked for.
  const start = lookAgain(look);
  const retry: Timer = timers.timer(start);
  await xenstore.write("control/feature-balloon", "1").catch(() => undefined);
  const unwatch = await xenstore.watch(target, start);
  return () => {
    isOver = true;
    retry.cancel();
    return unwatch();
  };
}
