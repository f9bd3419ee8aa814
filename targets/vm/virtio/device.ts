import type { DmaMemory } from "../window/window.ts";
import {
  featureBits,
  featureEventIndex,
  featureName,
  featureVersion1,
  hasFeature,
  type FeatureBits,
} from "./features.ts";
import { largestQueue, queueLayout, SplitQueue } from "./queue.ts";
import { deviceType, status, type Transport } from "./transport.ts";
import { VirtioError } from "./virtio-error.ts";

/** How often the status is read while a device resets; each takes about a microsecond. */
const resetReads = 100_000;

export interface DeviceOptions {
  readonly transport: Transport;
  /** One of `deviceType`. */
  readonly type: number;
  /** For messages: `virtio-net`. */
  readonly name: string;
  /** Features that the driver uses where offered, in addition to VERSION_1 and EVENT_IDX. */
  readonly wanted: readonly number[];
  /** Gets what ended the device, once. Called from the event loop or from a call into the driver. */
  readonly onDead: (error: VirtioError) => void;
}

/**
 * What the drivers of all virtio devices have in common: reset, negotiation of features, queues, interrupts, and one
 * end. In the order of virtio 1.2 §3.1.1: constructor, {@link VirtioDevice.queue}, {@link VirtioDevice.start}.
 */
export class VirtioDevice {
  readonly transport: Transport;
  /** `virtio-net 00:03.0`. */
  readonly name: string;
  readonly features: FeatureBits;
  #state: "set up" | "running" | "over" = "set up";
  readonly #onDead: (error: VirtioError) => void;
  readonly #memory: DmaMemory[] = [];

  /** @throws VirtioError when the device is not of the type, does not reset, or refuses the features. */
  constructor(options: DeviceOptions) {
    const { transport } = options;
    this.transport = transport;
    this.name = `${options.name} ${transport.place}`;
    this.#onDead = options.onDead;
    if (transport.type !== options.type) {
      throw new VirtioError("absent", `${transport.place} is ${typeName(transport.type)} and no ${options.name}`);
    }
    this.#reset();
    transport.setStatus(status.acknowledge);
    transport.setStatus(status.acknowledge | status.driver);
    this.features = this.#negotiate(options.wanted);
  }

  /** Whether the feature was offered and taken. */
  has(feature: number): boolean {
    return hasFeature(this.features, feature);
  }

  get isRunning(): boolean {
    return this.#state === "running";
  }

  /** Memory that the device may reach until it is closed. */
  memory(length: number): DmaMemory {
    const memory = this.transport.window.dma(length);
    this.#memory.push(memory);
    return memory;
  }

  /** Leaves memory to its owner for ever: {@link VirtioDevice.close} does not give it back. */
  keep(memory: DmaMemory): void {
    const index = this.#memory.indexOf(memory);
    if (index >= 0) this.#memory.splice(index, 1);
  }

  /**
   * Claims interrupts; before the first queue.
   *
   * @param onQueue the device used a buffer
   * @param onConfiguration the device changed its configuration
   */
  connect(onQueue: () => void, onConfiguration?: () => void): void {
    this.transport.connect(
      () => {
        if (this.#state === "running") onQueue();
      },
      () => {
        if (this.#state !== "running") return;
        if ((this.transport.getStatus() & status.needsReset) !== 0) {
          this.end(new VirtioError("reset", `${this.name}: the device asks to be reset: it is given up`));
        } else onConfiguration?.();
      },
    );
  }

  /**
   * Sets up a queue.
   *
   * @param most descriptors that the driver has a use for, a power of two; the device may have fewer
   * @throws VirtioError when the device has no such queue or does not take it.
   */
  queue(index: number, most: number): SplitQueue {
    const offered = this.transport.queueSize(index);
    if (offered < 2 || offered > largestQueue) {
      throw this.#failed("absent", `queue ${String(index)} has size ${String(offered)}`);
    }
    // A device may have any size (§4.1.5.1.3 lets drivers take less); ours is a power of two.
    const size = Math.min(most, 2 ** Math.floor(Math.log2(offered)));
    const queue = new SplitQueue(this.memory(queueLayout(size).total), size, this.has(featureEventIndex));
    if (!this.transport.enableQueue(index, size, queue.addresses)) {
      throw this.#failed("absent", `the device does not take queue ${String(index)} of ${String(size)}`);
    }
    return queue;
  }

  /** The device may work from now on. @throws VirtioError when it says that it cannot. */
  start(): void {
    const running = status.acknowledge | status.driver | status.featuresOk | status.driverOk;
    this.transport.setStatus(running);
    if ((this.transport.getStatus() & (status.needsReset | status.failed)) !== 0) {
      throw this.#failed("reset", "the device failed as it was started");
    }
    this.#state = "running";
  }

  /** Ends the device because a queue was broken. */
  breaks(queue: SplitQueue): void {
    this.brokeRules(queue.violation ?? "without a word");
  }

  /** Ends the device because it did what virtio forbids. */
  brokeRules(how: string): void {
    this.end(new VirtioError("rules", `${this.name}: the device broke the rules: ${how}`));
  }

  /** Ends the device: it is given up, and its owner told. Nothing happens when it is over already. */
  end(error: VirtioError): void {
    if (this.#state === "over") return;
    this.#state = "over";
    this.transport.setStatus(status.failed);
    this.transport.disconnect();
    this.#onDead(error);
  }

  /** Resets the device and gives its memory back. Idempotent; after {@link VirtioDevice.end} too. */
  close(): void {
    const faulty = this.#state === "over";
    this.#state = "over";
    this.transport.disconnect();
    if (this.#memory.length === 0) return;
    try {
      this.#reset();
    } catch {
      // It may go on to write: its memory is given to nobody else.
      this.#memory.length = 0;
      return;
    }
    // Nor is that of a device that does what it likes.
    if (!faulty) for (const memory of this.#memory) memory.release();
    this.#memory.length = 0;
  }

  /** Ends a device that is not yet running. */
  #failed(kind: VirtioError["kind"], what: string): VirtioError {
    this.#state = "over";
    this.transport.setStatus(status.failed);
    this.transport.disconnect();
    return new VirtioError(kind, `${this.name}: ${what}`);
  }

  #reset(): void {
    this.transport.setStatus(0);
    for (let round = 0; round < resetReads; round++) if (this.transport.getStatus() === 0) return;
    throw new VirtioError("reset", `${this.name}: the device does not come out of reset`);
  }

  #negotiate(wanted: readonly number[]): FeatureBits {
    const { transport } = this;
    const offered = { low: transport.deviceFeatures(0), high: transport.deviceFeatures(1) };
    if (!hasFeature(offered, featureVersion1)) {
      throw this.#failed("features", `the device is older than virtio 1.0: ${featureName(featureVersion1)} is missing`);
    }
    const known = featureBits([...wanted, featureVersion1, featureEventIndex]);
    const taken = { low: (offered.low & known.low) >>> 0, high: (offered.high & known.high) >>> 0 };
    transport.setDriverFeatures(0, taken.low);
    transport.setDriverFeatures(1, taken.high);
    transport.setStatus(status.acknowledge | status.driver | status.featuresOk);
    if ((transport.getStatus() & status.featuresOk) === 0) {
      const refused = [33, 34, 36].filter((feature) => hasFeature(offered, feature)).map(featureName);
      const needs = refused.length === 0 ? "" : `; it may insist on ${refused.join(" or ")}`;
      throw this.#failed("features", `the device refuses features ${bitList(taken)}${needs}`);
    }
    return taken;
  }
}

/** `virtio-net`, or the number of a type that has no name here. */
export function typeName(type: number): string {
  for (const [name, value] of Object.entries(deviceType)) if (value === type) return `virtio-${name}`;
  return `a virtio device of type ${String(type)}`;
}

function bitList(bits: FeatureBits): string {
  const all = Array.from({ length: 64 }, (_, bit) => bit).filter((bit) => hasFeature(bits, bit));
  return all.map(String).join(", ");
}
