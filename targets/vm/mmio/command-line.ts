import type { MmioPlace } from "../virtio/transport-mmio.ts";

const word = /^virtio_mmio\.device=(\d+)([KMG]?)@(0x[0-9a-f]{1,13}|\d{1,15}):(\d{1,4})(?::\d+)?$/i;
const units: Readonly<Record<string, number>> = { K: 1024, M: 1024 ** 2, G: 1024 ** 3 };
/** Words looked at, at most: boards have some thirty slots. */
const mostPlaces = 128;

/** What {@link mmioPlaces} found. */
export interface MmioPlaces {
  readonly places: readonly MmioPlace[];
  /** Words that begin like one and are none, and whatever is too much. */
  readonly refused: readonly string[];
}

/**
 * Reads the words `virtio_mmio.device=SIZE@ADDRESS:LINE[:ID]` that hypervisors put on the command line, as Linux
 * documents them. Their lines are edge-triggered.
 */
export function mmioPlaces(commandLine: string): MmioPlaces {
  const places: MmioPlace[] = [];
  const refused: string[] = [];
  for (const each of commandLine.split(/\s+/)) {
    if (!each.startsWith("virtio_mmio.device=")) continue;
    const [, size, unit, address, line] = word.exec(each) ?? [];
    if (size === undefined || places.length === mostPlaces) {
      refused.push(each);
      continue;
    }
    places.push({
      address: Number(address),
      length: Math.min(Number(size) * (units[(unit ?? "").toUpperCase()] ?? 1), 4096),
      interrupt: { line: Number(line) },
    });
  }
  return { places, refused };
}
