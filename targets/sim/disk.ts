import { faults, type FaultyBlock } from "@tesserae/block/faults";
import { createMemoryBlock } from "@tesserae/block/memory";
import { BlockError, type Block } from "@tesserae/device/block";
import type { HostTimers } from "./host-timers.ts";
import type { SeededRandom } from "./random.ts";

/** A host's disk. Probabilities are from 0 to 1. */
export interface DiskOptions {
  /** Default 131,072: 64 MiB with the default sectors. Memory is taken as sectors are written. */
  readonly sectors?: number;
  /** Bytes: a power of two from 512 to 4096. Default 512. */
  readonly sectorSize?: number;
  /** Milliseconds that a read or a write takes. Default 0.1. */
  readonly latency?: number;
  /** Milliseconds that a flush takes. Default 1. */
  readonly flushLatency?: number;
  readonly readErrors?: number;
  readonly writeErrors?: number;
  readonly flushErrors?: number;
  /** Whether a crash may leave a sector half old and half new. Default false. */
  readonly tornSectors?: boolean;
}

/**
 * What a host keeps when it crashes: a disk with a volatile cache.
 *
 * What was flushed stays. Each sector written since then holds, after a crash, one of the contents it was given, or the
 * flushed one, as the seed wants it.
 */
export class Disk {
  readonly #device: FaultyBlock;
  readonly #latency: number;
  readonly #flushLatency: number;

  /** @throws RangeError naming the option that is out of range. */
  constructor(options: DiskOptions, random: SeededRandom) {
    const { sectors = 131_072, sectorSize = 512, latency = 0.1, flushLatency = 1, ...chances } = options;
    for (const [name, value] of Object.entries({ latency, flushLatency })) {
      if (!(value >= 0 && value < Infinity)) throw new RangeError(`disk.${name} ${String(value)} is not 0 or more`);
    }
    this.#device = faults(createMemoryBlock({ sectors, sectorSize }), { random, ...chances });
    this.#latency = latency;
    this.#flushLatency = flushLatency;
  }

  /** The disk as a host sees it that lives on `timers`: once they have stopped, no operation settles or does anything. */
  attach(timers: HostTimers): Block {
    return new AttachedDisk(this.#device, timers, this.#latency, this.#flushLatency);
  }

  /** Loses what the cache holds, or some of it. */
  crash(): Promise<void> {
    return this.#device.crash();
  }
}

class AttachedDisk implements Block {
  readonly sectorSize: number;
  readonly sectors: number;
  readonly readOnly = false;
  readonly #device: FaultyBlock;
  readonly #timers: HostTimers;
  readonly #latency: number;
  readonly #flushLatency: number;
  #closed = false;

  constructor(device: FaultyBlock, timers: HostTimers, latency: number, flushLatency: number) {
    this.sectorSize = device.sectorSize;
    this.sectors = device.sectors;
    this.#device = device;
    this.#timers = timers;
    this.#latency = latency;
    this.#flushLatency = flushLatency;
  }

  async read(sector: number, into: Uint8Array): Promise<void> {
    this.#checkOpen(sector);
    await passing(this.#timers, this.#latency);
    await this.#device.read(sector, into);
  }

  async write(sector: number, bytes: Uint8Array): Promise<void> {
    this.#checkOpen(sector);
    if (this.#timers.stopped) await never();
    // Into the cache at once: a crash before the answer may or may not have it.
    const written = this.#device.write(sector, bytes);
    // An error waits for its time, too.
    written.catch(() => undefined);
    await passing(this.#timers, this.#latency);
    await written;
  }

  async flush(): Promise<void> {
    this.#checkOpen(-1);
    await passing(this.#timers, this.#flushLatency);
    await this.#device.flush();
  }

  /** Flushes. The disk stays, for the host's next life. */
  async close(): Promise<void> {
    if (this.#closed) return;
    const flushed = this.flush();
    this.#closed = true;
    await flushed;
  }

  #checkOpen(sector: number): void {
    if (this.#closed) throw new BlockError("closed", sector, "the disk is closed");
  }
}

/** Settles after so many milliseconds of the host; never, once it has crashed. */
export function passing(timers: HostTimers, milliseconds: number): Promise<void> {
  if (timers.stopped) return never();
  return new Promise((resolve) => {
    timers.timer(resolve).set(timers.now() + milliseconds);
  });
}

function never(): Promise<never> {
  return new Promise(() => undefined);
}
