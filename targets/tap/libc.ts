import { addonVariable, loadAddon, type Addon } from "@tesserae/node/native/addon";
import { SystemCalls } from "@tesserae/node/native/system-calls";
import { loadKoffi } from "./koffi-calls.ts";

/** A platform, or a Node, on which there can be no tap. The message says why and what would help. */
export class UnsupportedError extends Error {
  override readonly name = "UnsupportedError";
}

/** The kernel, and how it is called. */
export interface Libc {
  readonly calls: SystemCalls;
  /** Absent when all is as it should be; else why packets are slower than they could be, in one line. */
  readonly notice: string | undefined;
}

let loaded: Promise<Libc> | undefined;

/**
 * The way to the kernel: the native piece, which this machine's C compiler builds once, or, where it cannot, the package
 * koffi, which comes built but takes longer for each call and runs on the main thread only.
 *
 * @throws UnsupportedError (rejects) when this is not Linux, or there is neither.
 */
export function loadLibc(): Promise<Libc> {
  loaded ??= load();
  return loaded;
}

/** {@link loadLibc} for whoever does not care how. */
export async function loadCalls(): Promise<SystemCalls> {
  return (await loadLibc()).calls;
}

async function load(): Promise<Libc> {
  if (process.platform !== "linux") {
    throw new UnsupportedError(`the tap target needs Linux: this is ${process.platform}; use the node or sim target`);
  }
  const outcome = loadAddon();
  if (outcome.ok) return { calls: new SystemCalls(outcome.addon), notice: undefined };
  let koffi: Addon;
  try {
    koffi = await loadKoffi();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new UnsupportedError(
      `the tap target calls the kernel through a native piece, which is not there (${outcome.why}), ` +
        `or through the package "koffi": npm install koffi (${why})`,
      { cause },
    );
  }
  const asked = process.env[addonVariable] === "off";
  const notice = asked ? undefined : `packets go through koffi, which is slower: no native piece (${outcome.why})`;
  return { calls: new SystemCalls(koffi), notice };
}
