import { dropUnused, type DroppedPart } from "./drop.ts";
import { ElfFile } from "./elf-file.ts";
import { trimIcu, type IcuChoice, type TrimmedIcu } from "./icu.ts";
import { ImageFailure, ofFile } from "./image-failure.ts";
import type { NodeRuntime } from "./node-runtime.ts";
import { strip } from "./strip.ts";

/** Node.js as it goes into an image. */
export interface PreparedNode {
  readonly program: Uint8Array;
  readonly elf: ElfFile;
  readonly icu: TrimmedIcu;
  readonly dropped: readonly DroppedPart[];
}

const machineX64 = 62;
const executable = 2;
const sharedObject = 3;

/**
 * Takes out of Node.js what an image does not need: symbols, other languages, the TypeScript compiler. What goes from
 * the middle becomes zeros, which a sparse file leaves out. Changes `node.bytes` in place.
 *
 * @throws ImageFailure when it is no program for x86-64, or its parts are not as expected.
 */
export function prepareNode(node: NodeRuntime, choice: IcuChoice): PreparedNode {
  const what = `Node.js ${node.version}`;
  return ofFile(what, () => {
    const { machine, type } = new ElfFile(node.bytes);
    if (machine !== machineX64 || (type !== executable && type !== sharedObject)) {
      throw new ImageFailure(`${what} is no program for x86-64`, "give one for Linux on x86-64");
    }
    const program = strip(node.bytes);
    const icu = trimIcu(program, choice);
    const dropped = dropUnused(program);
    return { program, elf: new ElfFile(program), icu, dropped };
  });
}
