// What the emulated paths carry at most on this machine, at this hour: above it the table measures the machine.
import type { PathNetwork } from "../../test/path/path-network.ts";
import { goodput } from "../../test/path/transfer.ts";
import { median } from "../harness/race.ts";

export interface Ceiling {
  /** Payload bits a second, one connection of Linux, no limit and no loss. */
  readonly bits: number;
  /** Frames a second, both ways together, meanwhile. */
  readonly frames: number;
}

export async function measureCeiling(network: PathNetwork, rounds: number): Promise<Ceiling> {
  const bits: number[] = [];
  const frames: number[] = [];
  for (let round = 0; round < rounds; round++) {
    await network.configure(0, { delay: 0.5, queue: 16_777_216 }, `ceiling ${round}`);
    const result = await network.transfer({
      path: 0,
      from: "kernel",
      to: "kernel",
      bytes: 2 ** 40,
      milliseconds: 3000,
    });
    const directions = (await network.statistics(0)) ?? [];
    bits.push(goodput(result));
    frames.push((directions.reduce((sum, { delivered }) => sum + delivered, 0) * 1000) / result.milliseconds);
  }
  return { bits: median(bits), frames: median(frames) };
}
