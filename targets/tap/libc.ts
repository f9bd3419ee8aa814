import { addonVariable, loadAddon, type Addon } from "@tesserae/node/native/addon";
import { SystemCalls } from "@tesserae/node/native/system-calls";
import { loadKoffi } from "./koffi-calls.ts";
import { NodeCalls } from "./node-calls.ts";

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
 * The way to the kernel: the native piece, which this machine's C compiler builds once; where it cannot, the package
 * koffi, which comes built but takes longer for each call and runs on the main thread only; and without both Node's own
 * reading and writing ({@link NodeCalls}), which only serves for devices that are open or are a file.
 *
 * @throws UnsupportedError (rejects) when this is not Linux.
 */
export function loadLibc(): Promise<Libc> {
  loaded ??= load();
  return loaded;
}

/** {@link loadLibc} for whoever needs system calls. @throws UnsupportedError (rejects) when there are none, too. */
export async function loadCalls(): Promise<SystemCalls> {
  const { calls, notice } = await loadLibc();
  checkComplete(calls, notice);
  return calls;
}

/** @throws UnsupportedError without system calls. */
export function checkComplete(calls: SystemCalls, notice: string | undefined): void {
  if (!(calls.native instanceof NodeCalls)) return;
  throw new UnsupportedError(
    `${notice ?? "there are no system calls"}: only a descriptor that is handed down (--tap-fd) or a macvtap interface will do`,
  );
}

async function load(): Promise<Libc> {
  if (process.platform !== "linux") {
    throw new UnsupportedError(`the tap target needs Linux: this is ${process.platform}; use the node or sim target`);
  }
  const outcome = loadAddon();
  if (outcome.ok) return { calls: new SystemCalls(outcome.addon), notice: undefined };
  const asked = process.env[addonVariable];
  let koffi: Addon;
  try {
    if (asked === "none") throw new Error("not asked for");
    koffi = await loadKoffi();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const reason = asked === "none" ? outcome.why : `no native piece (${outcome.why}), and no koffi (${why})`;
    const notice = `packets go through Node's own reads and writes, one by one, and are looked for by a timer: ${reason}`;
    return { calls: new SystemCalls(new NodeCalls()), notice };
  }
  const notice =
    asked === "off" ? undefined : `packets go through koffi, which is slower: no native piece (${outcome.why})`;
  return { calls: new SystemCalls(koffi), notice };
}
