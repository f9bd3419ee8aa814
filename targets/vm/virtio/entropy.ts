import { VirtioDevice } from "./device.ts";
import { deviceType, type Transport } from "./transport.ts";
import { VirtioError } from "./virtio-error.ts";

/** Bytes asked for at once. */
const requestSize = 256;

export interface VirtioEntropyOptions {
  readonly device: Transport;
  readonly onDead?: (error: VirtioError) => void;
}

/** A source of randomness outside of the machine. */
export interface VirtioEntropy {
  /**
   * Up to 256 random bytes, at least one. One request at a time.
   *
   * @param options `signal` gives the wait up; the device may take as long as it likes
   * @throws VirtioError (rejects) when the device ended; RangeError when another request is under way.
   */
  read(options?: { readonly signal?: AbortSignal }): Promise<Uint8Array>;
  /** Idempotent. */
  close(): Promise<void>;
}

/**
 * Starts a virtio entropy device (virtio 1.2 §5.4).
 *
 * Its bytes are the hypervisor's: good to be stirred into the kernel's generator (`Window.addEntropy`), which is as
 * secure as its best source, and never to be used as they are.
 *
 * @throws VirtioError (rejects) when the device cannot be driven; WindowError when memory or interrupts are out.
 */
export function createVirtioEntropy(options: VirtioEntropyOptions): Promise<VirtioEntropy> {
  return new Promise((resolve) => resolve(new EntropyDevice(options)));
}

/**
 * Stirs 256 bytes of each entropy device into the kernel's generator.
 *
 * @returns how many bytes there were
 */
export async function stirEntropy(
  devices: readonly Transport[],
  options: { readonly signal?: AbortSignal } = {},
): Promise<number> {
  let total = 0;
  for (const device of devices.filter(({ type }) => type === deviceType.entropy)) {
    const entropy = await createVirtioEntropy({ device });
    try {
      const bytes = await entropy.read(options);
      device.window.addEntropy(bytes);
      total += bytes.length;
    } finally {
      await entropy.close();
    }
  }
  return total;
}

interface Reader {
  resolve(bytes: Uint8Array): void;
  reject(reason: unknown): void;
}

class EntropyDevice implements VirtioEntropy {
  readonly #device: VirtioDevice;
  readonly #take: () => void;
  readonly #request: () => void;
  #reader: Reader | undefined;
  /** A request that was given up is still the device's. */
  #isPending = false;
  #end: VirtioError | undefined;

  constructor(options: VirtioEntropyOptions) {
    const device = new VirtioDevice({
      transport: options.device,
      type: deviceType.entropy,
      name: "virtio-entropy",
      wanted: [],
      onDead: (error) => {
        this.#end = error;
        this.#reader?.reject(error);
        options.onDead?.(error);
      },
    });
    this.#device = device;
    try {
      device.connect(() => this.#take());
      const queue = device.queue(0, 2);
      const memory = device.memory(requestSize);
      queue.describe(0, memory.physical, requestSize, true, -1);
      device.start();
      queue.arm();
      this.#request = () => {
        this.#isPending = true;
        queue.offer(0, requestSize);
        if (queue.publish()) device.transport.notify(0);
      };
      this.#take = () => {
        do {
          if (queue.take() < 0) continue;
          this.#isPending = false;
          const bytes = memory.bytes.slice(0, queue.usedLength);
          memory.bytes.fill(0);
          if (bytes.length === 0) device.brokeRules("no byte of entropy");
          else this.#reader?.resolve(bytes);
        } while (queue.violation === undefined && device.isRunning && !queue.arm());
        if (queue.violation !== undefined) device.breaks(queue);
      };
    } catch (error) {
      device.close();
      throw error;
    }
  }

  read({ signal }: { readonly signal?: AbortSignal } = {}): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      if (this.#end !== undefined) throw this.#end;
      if (this.#reader !== undefined) throw new RangeError("another request is under way");
      const settle = (): void => {
        this.#reader = undefined;
        signal?.removeEventListener("abort", abort);
      };
      const abort = (): void => this.#reader?.reject(signal?.reason);
      this.#reader = {
        resolve: (bytes) => {
          settle();
          resolve(bytes);
        },
        reject: (reason) => {
          settle();
          reject(reason instanceof Error ? reason : new DOMException("aborted", "AbortError"));
        },
      };
      signal?.addEventListener("abort", abort, { once: true });
      if (!this.#isPending) this.#request();
    });
  }

  close(): Promise<void> {
    this.#end ??= new VirtioError("absent", `${this.#device.name} is closed`);
    this.#reader?.reject(this.#end);
    this.#device.close();
    return Promise.resolve();
  }
}
