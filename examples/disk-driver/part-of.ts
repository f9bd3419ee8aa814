import { blockPart } from "@tesserae/block/part";
import type { Block } from "@tesserae/device/block";

/**
 * The part of a disk that a target names: `FIRST+SECTORS`, in sectors of the disk, or `all`.
 *
 * @throws Error for what is no part of the disk.
 */
export function partOf(disk: Block, target: string): Block {
  if (target === "all") return blockPart(disk);
  const numbers = /^(\d{1,15})\+(\d{1,15})$/.exec(target);
  if (numbers === null) throw new Error(`the target "${target}" is neither FIRST+SECTORS nor all`);
  return blockPart(disk, { first: Number(numbers[1]), sectors: Number(numbers[2]) });
}
