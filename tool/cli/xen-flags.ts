import path from "node:path";
import { usage } from "./failure.ts";
import { memoryOf, takeFlags } from "./machine-flags.ts";

/** How `run --target xen` makes the guest. */
export interface XenFlags {
  /** Bytes, a multiple of 1 MiB. */
  readonly memory: number;
  /** Files, in order. */
  readonly block: readonly string[];
  /** The bridge that network cards are put on; absent: xl's own, or the emulated host's. */
  readonly bridge: string | undefined;
  /** Whether Xen itself is run in QEMU. */
  readonly emulate: boolean;
  /** As given: `8080:80`. */
  readonly forward: readonly string[];
  readonly pcap: string | undefined;
}

/** The names of the flags that are about the guest and its host; all but `emulate` need a value. */
export const xenFlags: readonly string[] = ["memory", "block", "bridge", "emulate", "forward", "pcap"];
/** What only a host that is emulated can do. */
const emulatedOnly = ["forward", "pcap"] as const;

/**
 * Takes the flags that are about the guest out of what follows those of the tool; the rest is for the image.
 *
 * @throws Failure with status 2 naming the flag.
 */
export function readXenFlags(words: readonly string[]): {
  readonly flags: XenFlags;
  readonly image: readonly string[];
} {
  const { given, image } = takeFlags(words, xenFlags, { emulate: "yes" });
  const last = (name: string): string | undefined => given.get(name)?.at(-1);
  const emulate = last("emulate");
  if (emulate !== undefined && emulate !== "yes") throw usage("--emulate takes no value");
  const bridge = last("bridge");
  if (bridge !== undefined && !/^[\w.-]{1,15}$/.test(bridge)) {
    throw usage(`--bridge: "${bridge}" is not the name of a bridge`);
  }
  if (bridge !== undefined && emulate !== undefined) throw usage("--bridge: the emulated host has its own");
  for (const name of emulatedOnly) {
    if (emulate === undefined && given.has(name)) throw usage(`--${name} needs --emulate`);
  }
  const pcap = last("pcap");
  return {
    flags: {
      memory: memoryOf(last("memory")),
      block: (given.get("block") ?? []).map((file) => path.resolve(file)),
      bridge,
      emulate: emulate !== undefined,
      forward: given.get("forward") ?? [],
      pcap: pcap === undefined ? undefined : path.resolve(pcap),
    },
    image,
  };
}
