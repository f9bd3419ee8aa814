import { netFeature } from "../virtio/features.ts";
import { netHeaderSize } from "../virtio/net-header.ts";
import { deviceType } from "../virtio/transport.ts";
import { readChain, writeChain, type Chain } from "./device-queue.ts";
import type { MemoryWindow } from "./memory-window.ts";
import { SimulatedDevice } from "./simulated-device.ts";

/** Frames that wait for a buffer, at most. */
const mostWaiting = 1024;

export interface SimulatedNetOptions {
  readonly window: MemoryWindow;
  /** The last byte of its address: `52:54:00:00:00:…`. */
  readonly station: number;
  readonly features?: readonly number[];
  readonly noEventIndex?: boolean;
  readonly queueSize?: number;
}

/** A network device in memory. What it sends goes to `onFrame`, with the device's header in front. */
export class SimulatedNet extends SimulatedDevice {
  /** Gets what the driver sends, header and frame. */
  onFrame: (headerAndFrame: Uint8Array) => void = () => undefined;
  /** Frames that had no room. */
  dropped = 0;
  readonly #waiting: Uint8Array[] = [];

  constructor(options: SimulatedNetOptions) {
    const configuration = new Uint8Array(16);
    configuration.set([0x52, 0x54, 0, 0, 0, options.station]);
    const size = options.queueSize ?? 256;
    super({
      window: options.window,
      type: deviceType.net,
      features: [netFeature.mac, ...(options.features ?? [])],
      ...(options.noEventIndex === true ? { noEventIndex: true } : {}),
      configuration,
      queues: [size, size],
    });
  }

  /** The other end of a cable. */
  connect(peer: SimulatedNet): void {
    this.onFrame = (bytes) => setImmediate(() => peer.receive(bytes));
    peer.onFrame = (bytes) => setImmediate(() => this.receive(bytes));
  }

  /** A frame comes in, behind room for the header. */
  receive(headerAndFrame: Uint8Array): void {
    if (this.#waiting.length < mostWaiting) this.#waiting.push(headerAndFrame);
    else this.dropped++;
    this.#fill();
  }

  override notified(queue: number): void {
    if (queue === 0) this.#fill();
    else if (queue === 1) this.#send();
  }

  #send(): void {
    const queue = this.queues[1];
    if (queue === undefined || !this.isRunning) return;
    for (let chain = queue.take(); chain !== undefined; chain = queue.take()) {
      const bytes = readChain(chain);
      this.give(1, chain.head, 0);
      this.onFrame(bytes);
    }
  }

  #fill(): void {
    const queue = this.queues[0];
    if (queue === undefined) return;
    while (this.#waiting.length > 0 && this.isRunning && queue.waiting > 0) {
      const bytes = this.#waiting.shift();
      if (bytes !== undefined) this.#place(bytes);
    }
  }

  /** Puts a frame into as many buffers as it needs. */
  #place(bytes: Uint8Array): void {
    const queue = this.queues[0];
    if (queue === undefined) return;
    const chains: Chain[] = [];
    let done = 0;
    while (done < bytes.length || chains.length === 0) {
      const chain = queue.take();
      if (chain === undefined) {
        this.dropped++;
        return;
      }
      const written = writeChain(chain, bytes.subarray(done));
      queue.stage(chain.head, written, chains.length);
      chains.push(chain);
      done += written;
      if (!this.has(netFeature.mergeableBuffers)) break;
    }
    const first = chains[0]?.segments[0]?.bytes;
    if (first !== undefined) first[netHeaderSize - 2] = chains.length;
    if (queue.publish(chains.length)) this.onInterrupt("queue", 0);
  }
}
