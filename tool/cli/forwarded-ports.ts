import type { Graph } from "@tesserae/config/graph";
import { flagOf } from "@tesserae/image/key";
import { parseForward, placeForwards, type Forward, type PlacedForward } from "@tesserae/qemu/network";
import { valueOfWord } from "./machine-flags.ts";
import type { Terminal } from "./terminal.ts";

/**
 * The ports asked for; without any, those that the image's keys name, each from the same port here where it is free.
 *
 * @param asked as given: `8080:80`
 * @param words the image's command line
 * @throws MachineError (rejects) for a port that was asked for and cannot be had.
 */
export async function forwardedPorts(
  graph: Graph,
  asked: readonly string[],
  words: readonly string[],
  terminal: Terminal,
): Promise<readonly PlacedForward[]> {
  if (asked.length > 0) {
    const placed = await placeForwards(asked.map(parseForward), true);
    for (const { wanted, address, hostPort, guestPort } of placed) {
      if (wanted === 0) terminal.error(`port ${String(guestPort)} is at ${address}:${String(hostPort)}`);
    }
    return placed;
  }
  const ports = graph.keys.flatMap((key) =>
    key.type.kind === "port" ? [Number(valueOfWord(words, flagOf(key.name)) ?? key.default)] : [],
  );
  const forwards: Forward[] = [...new Set(ports)]
    .filter((port) => Number.isInteger(port) && port > 0 && port < 65_536)
    .map((port) => ({ address: "127.0.0.1", hostPort: port, guestPort: port }));
  const placed = await placeForwards(forwards, false);
  for (const { wanted, address, hostPort } of placed) {
    if (wanted === hostPort) continue;
    terminal.error(`port ${String(wanted)} cannot be had here: it is at ${address}:${String(hostPort)}`);
  }
  return placed;
}
