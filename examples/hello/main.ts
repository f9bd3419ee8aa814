import type { Devices } from "@tesserae/config/config";
import { sleep } from "@tesserae/time/sleep";
import type { config } from "./tesserae.config.ts";

/** Greets a few times, a second apart, and ends. */
export async function main({ console, timers, keys, signal }: Devices<typeof config>): Promise<void> {
  for (let count = 1; count <= keys.times; count++) {
    if (count > 1) await sleep(timers, 1000, signal);
    console.writeLine(`hello, ${keys.name} (${count} of ${keys.times})`);
  }
}
