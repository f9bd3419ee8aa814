import path from "node:path";
import type { KeyPlan } from "@tesserae/image/key";
import { flagOf, parseKey } from "@tesserae/image/key";
import { didYouMean } from "@tesserae/image/nearest";
import type { Accelerator } from "@tesserae/qemu/accelerator";
import { machineTypes, type MachineType } from "@tesserae/qemu/arguments";
import { usage } from "./failure.ts";

const imagePlaces = ["memory", "nvdimm"] as const;
type ImagePlace = (typeof imagePlaces)[number];

/** How `run --target vm` makes the machine. */
export interface MachineFlags {
  /** Bytes, a multiple of 1 MiB. */
  readonly memory: number;
  readonly machine: MachineType;
  /** Whether the image is loaded into RAM, or mapped beside it. */
  readonly imageIn: ImagePlace;
  /** Absent: whichever works. */
  readonly accelerator: Accelerator | undefined;
  /** Files, in order. */
  readonly block: readonly string[];
  readonly tap: string | undefined;
  readonly hostAddress: string | undefined;
  /** As given: `8080:80`. */
  readonly forward: readonly string[];
  readonly pcap: string | undefined;
  /** A TCP port. */
  readonly gdb: number | undefined;
}

const defaultMemory = 256 * 2 ** 20;
const gdbPort = 1234;
const accelerators: readonly Accelerator[] = ["kvm", "hvf", "tcg"];

/** The names of the flags that are about the machine; all but `gdb` need a value. */
export const machineFlags: readonly string[] = [
  ...["memory", "image-in", "cpus", "machine", "block", "tap", "host-address", "forward", "pcap", "gdb", "accelerator"],
];

/**
 * Takes the flags that are about the machine out of what follows those of the tool; the rest is for the image.
 *
 * @throws Failure with status 2 naming the flag.
 */
export function readMachineFlags(words: readonly string[]): {
  readonly flags: MachineFlags;
  readonly image: readonly string[];
} {
  const { given, image } = takeFlags(words, machineFlags, { gdb: String(gdbPort) });
  const last = (name: string): string | undefined => given.get(name)?.at(-1);
  const cpus = last("cpus");
  if (cpus !== undefined && cpus !== "1") {
    throw usage(`--cpus: "${cpus}" cannot be`, "an image runs on one processor: --cpus 1");
  }
  const gdb = last("gdb");
  if (gdb !== undefined && !(/^\d{1,5}$/.test(gdb) && Number(gdb) > 0 && Number(gdb) < 65_536)) {
    throw usage(`--gdb: "${gdb}" is not a port from 1 to 65535`);
  }
  const pcap = last("pcap");
  return {
    flags: {
      memory: memoryOf(last("memory")),
      machine: choice("machine", last("machine") ?? "q35", machineTypes),
      imageIn: imageIn(last("image-in"), last("machine") ?? "q35"),
      accelerator: given.has("accelerator")
        ? choice("accelerator", last("accelerator") ?? "", accelerators)
        : undefined,
      block: (given.get("block") ?? []).map((file) => path.resolve(file)),
      tap: last("tap"),
      hostAddress: last("host-address"),
      forward: given.get("forward") ?? [],
      pcap: pcap === undefined ? undefined : path.resolve(pcap),
      gdb: gdb === undefined ? undefined : Number(gdb),
    },
    image,
  };
}

/**
 * Takes the flags of these names out of the words.
 *
 * @param bare what those stand for that may be without a value
 * @returns the values by name, in order, and the words that are left.
 * @throws Failure with status 2 naming a flag without a value.
 */
export function takeFlags(
  words: readonly string[],
  names: readonly string[],
  bare: Readonly<Record<string, string>>,
): { readonly given: ReadonlyMap<string, readonly string[]>; readonly image: readonly string[] } {
  const given = new Map<string, string[]>();
  const image: string[] = [];
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? "";
    const equals = word.indexOf("=");
    const name = (equals < 0 ? word : word.slice(0, equals)).slice(2);
    const attached = equals < 0 ? undefined : word.slice(equals + 1);
    if (!word.startsWith("--") || !names.includes(name)) {
      image.push(word);
      continue;
    }
    const value = attached ?? bare[name] ?? words[++index];
    if (value === undefined || value === "") throw usage(`--${name} needs a value`);
    given.set(name, [...(given.get(name) ?? []), value]);
  }
  return { given, image };
}

/** An image that is mapped takes no memory; not every machine can. */
function imageIn(given: string | undefined, machine: string): ImagePlace {
  if (given === undefined) return machine === "microvm" ? "memory" : "nvdimm";
  const place = choice("image-in", given, imagePlaces);
  if (place === "nvdimm" && machine === "microvm") {
    throw usage("--image-in nvdimm: a microvm has no NVDIMM", "leave the flag out, or take --machine q35");
  }
  return place;
}

/**
 * The flags of an image as words of its boot command line: `--port 9000` becomes `port=9000`. What is not known here is
 * passed on: the image says best what is wrong with it.
 *
 * @param flags what stands for the values of the words that the boot understands beside the keys; "" for those without
 */
export function toWords(
  image: readonly string[],
  keys: readonly KeyPlan[],
  flags: Readonly<Record<string, string>>,
): readonly string[] {
  const words: string[] = [];
  for (let index = 0; index < image.length; index++) {
    const word = image[index] ?? "";
    const name = word.replace(/^--?/, "");
    const key = keys.find((each) => flagOf(each.name) === name);
    const wants = key === undefined ? (flags[name] ?? "") !== "" : key.type.kind !== "boolean";
    const next = image[index + 1];
    if (word.startsWith("--") && wants && next !== undefined) {
      words.push(`${name}=${next}`);
      index++;
    } else words.push(name === "h" ? "help" : name);
  }
  return words;
}

/** The value of the last word of that name, `""` for one without; `undefined` when there is none. */
export function valueOfWord(words: readonly string[], name: string): string | undefined {
  const word = words.findLast((each) => each === name || each.startsWith(`${name}=`));
  return word?.slice(name.length + 1);
}

/** Bytes, a multiple of 1 MiB. @throws Failure with status 2 for what is no size of memory. */
export function memoryOf(text: string | undefined): number {
  if (text === undefined) return defaultMemory;
  // As QEMU and everybody writes it: 256M.
  const parsed = parseKey({ kind: "bytes" }, text.replace(/^(\d+(?:\.\d+)?)([kmg])$/i, "$1$2iB"));
  const bytes = parsed.ok && typeof parsed.value === "number" ? parsed.value : 0;
  if (bytes < 2 ** 20 || bytes > 2 ** 40) throw usage(`--memory: "${text}" is not a size such as 256M or 1G`);
  return Math.ceil(bytes / 2 ** 20) * 2 ** 20;
}

function choice<T extends string>(flag: string, text: string, allowed: readonly T[]): T {
  const found = allowed.find((each) => each === text);
  if (found !== undefined) return found;
  throw usage(`--${flag}: "${text}" is not one${didYouMean(text, allowed)}`, `allowed: ${allowed.join(", ")}`);
}
