import type { Graph } from "@tesserae/config/graph";
import type { DiskFile } from "@tesserae/qemu/arguments";
import type { XlGuest } from "@tesserae/vm-image/formats/xl-config";
import { quoteWord } from "@tesserae/vm/command-line";
import { targets } from "@tesserae/config/target";
import { failure } from "./failure.ts";
import { requireMemory } from "./least-memory.ts";
import type { MachineImage } from "./machine-image.ts";
import { toWords } from "./machine-flags.ts";
import type { XenFlags } from "./xen-flags.ts";

/** The image's flags as words of its command line. */
export function xenWords(image: readonly string[], graph: Graph): readonly string[] {
  return toWords(image, graph.keys, targets.find((target) => target.name === "xen")?.flags ?? {});
}

/**
 * The guest that an image becomes: with a network card and a disk for each that it wants.
 *
 * @param files paths of kernel and image where xl runs
 * @param disks what is served as its disks, with paths where xl runs
 * @throws Failure when the memory is too little.
 */
export function xenGuest(
  name: string,
  graph: Graph,
  machine: MachineImage,
  options: {
    readonly flags: XenFlags;
    readonly words: readonly string[];
    readonly files: { readonly kernel: string; readonly image: string };
    readonly disks: readonly DiskFile[];
  },
): XlGuest {
  const { flags, words, files, disks } = options;
  requireMemory(flags.memory, machine.bytes);
  return {
    name,
    kernel: files.kernel,
    ramdisk: files.image,
    commandLine: words.map(quoteWord).join(" "),
    memory: flags.memory / 2 ** 20,
    interfaces: interfacesOf(graph).map(() => (flags.bridge === undefined ? {} : { bridge: flags.bridge })),
    disks: disks.map(({ file, readOnly }, index) => ({ file, device: diskName(index), readOnly })),
  };
}

/** The network interfaces that the target gives to the image, as many as it has declared. */
export function interfacesOf(graph: Graph): readonly string[] {
  return graph.devices.flatMap(({ kind, id, implementation }) =>
    kind === "netif" && implementation.module === undefined ? [id] : [],
  );
}

/** `xvda`, `xvdb` … @throws Failure for more than Xen has letters for. */
export function diskName(index: number): string {
  if (index > 25) throw failure("a guest of Xen's has 26 disks at most");
  return `xvd${String.fromCharCode("a".charCodeAt(0) + index)}`;
}
