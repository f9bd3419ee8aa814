import { blockFeature } from "../virtio/features.ts";
import { deviceType } from "../virtio/transport.ts";
import { readChain, type Chain } from "./device-queue.ts";
import type { MemoryWindow } from "./memory-window.ts";
import { SimulatedDevice } from "./simulated-device.ts";

export interface SimulatedBlockOptions {
  readonly window: MemoryWindow;
  /** The contents: a whole number of 512-byte sectors. */
  readonly contents: Uint8Array;
  readonly sectorSize?: number;
  readonly readOnly?: boolean;
  readonly discard?: boolean;
}

/** A disk in memory. Requests are done in a later turn of the event loop, the last one first. */
export class SimulatedBlock extends SimulatedDevice {
  readonly contents: Uint8Array;
  flushes = 0;
  /** What the next requests answer instead of what they should; for tests. */
  forcedStatus: number | undefined;
  readonly #pending: Chain[] = [];

  constructor(options: SimulatedBlockOptions) {
    const { contents, sectorSize = 512 } = options;
    const configuration = new Uint8Array(64);
    const view = new DataView(configuration.buffer);
    view.setBigUint64(0, BigInt(Math.floor(contents.length / 512)), true);
    view.setUint32(20, sectorSize, true);
    view.setUint32(36, 64, true);
    const features: number[] = [blockFeature.blockSize, blockFeature.flush];
    if (options.readOnly === true) features.push(blockFeature.readOnly);
    if (options.discard === true) features.push(blockFeature.discard);
    super({ window: options.window, type: deviceType.block, features, configuration, queues: [64] });
    this.contents = contents;
  }

  override notified(): void {
    const queue = this.queues[0];
    if (queue === undefined) return;
    for (let chain = queue.take(); chain !== undefined; chain = queue.take()) this.#pending.push(chain);
    setImmediate(() => this.#work());
  }

  #work(): void {
    for (let chain = this.#pending.pop(); chain !== undefined && this.isRunning; chain = this.#pending.pop()) {
      const writable = chain.segments.filter((each) => each.writable);
      const state = writable[writable.length - 1]?.bytes;
      const data = writable.length > 1 ? writable[0]?.bytes : undefined;
      const result = this.forcedStatus ?? this.#request(readChain(chain), data);
      if (state !== undefined) state[0] = result;
      this.give(0, chain.head, (data?.length ?? 0) + 1);
    }
  }

  #request(sent: Uint8Array, data: Uint8Array | undefined): number {
    const view = new DataView(sent.buffer, sent.byteOffset, sent.length);
    const type = view.getUint32(0, true);
    const start = Number(view.getBigUint64(8, true)) * 512;
    const content = sent.subarray(16);
    if (type === 4) this.flushes++;
    else if (type === 0 && data !== undefined && start + data.length <= this.contents.length) {
      data.set(this.contents.subarray(start, start + data.length));
    } else if (type === 1 && start + content.length <= this.contents.length) this.contents.set(content, start);
    else if (type === 11 && content.length === 16) {
      const first = Number(view.getBigUint64(16, true)) * 512;
      const length = view.getUint32(24, true) * 512;
      if (length > 64 * 512) return 1;
      this.contents.fill(0, first, first + length);
    } else return type === 0 || type === 1 ? 1 : 2;
    return 0;
  }
}
