import type { Window } from "../window/window.ts";

/** Kinds of devices (virtio 1.2 §5). */
export const deviceType = { net: 1, block: 2, console: 3, entropy: 4, vsock: 19 } as const;

/** Bits of the device status (§2.1). */
export const status = {
  acknowledge: 1,
  driver: 2,
  driverOk: 4,
  featuresOk: 8,
  needsReset: 64,
  failed: 128,
} as const;

/** Where the three parts of a queue lie, as physical addresses. */
export interface QueueAddresses {
  readonly descriptors: number;
  readonly available: number;
  readonly used: number;
}

/**
 * One virtio device as the bus shows it: its registers under their common names, whatever bus it is.
 *
 * Nothing read from here is to be trusted. Offsets of the configuration are in bytes.
 */
export interface Transport {
  readonly window: Window;
  /** One of {@link deviceType}, or another number. */
  readonly type: number;
  /** For messages: `00:03.0` on PCI, `mmio@0xfeb00000`. */
  readonly place: string;
  getStatus(): number;
  setStatus(value: number): void;
  /** Features 0–31 (`word` 0) or 32–63 (1) that the device offers, unsigned. */
  deviceFeatures(word: 0 | 1): number;
  setDriverFeatures(word: 0 | 1, value: number): void;
  /** The largest size of a queue, 0 when there is no such queue. */
  queueSize(queue: number): number;
  /** @returns false when the device says that it did not take the queue. */
  enableQueue(queue: number, size: number, addresses: QueueAddresses): boolean;
  /** Tells the device that there are new buffers. The queue is enabled. */
  notify(queue: number): void;
  /** Changes when the device changes its configuration. */
  generation(): number;
  configuration8(offset: number): number;
  configuration16(offset: number): number;
  configuration32(offset: number): number;
  /**
   * Claims interrupts. To be called before queues are enabled.
   *
   * @param onQueue the device used a buffer
   * @param onConfiguration its configuration, or its status, changed
   */
  connect(onQueue: () => void, onConfiguration: () => void): void;
  /** Lets the interrupts go. Idempotent. */
  disconnect(): void;
}
