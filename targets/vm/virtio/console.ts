import { Duplex } from "node:stream";
import { createConsole, type StreamConsole } from "@tesserae/node/console";
import type { DmaMemory } from "../window/window.ts";
import { VirtioDevice } from "./device.ts";
import { Kick } from "./kick.ts";
import type { SplitQueue } from "./queue.ts";
import { deviceType, type Transport } from "./transport.ts";
import type { VirtioError } from "./virtio-error.ts";

const receiveQueue = 0;
const transmitQueue = 1;
/** Of each queue, and bytes in each buffer. */
const buffers = 8;
const bufferSize = 2048;

export interface VirtioConsoleOptions {
  readonly device: Transport;
  /** Gets what ended the device; the input ends then, and what is written is dropped. */
  readonly onDead?: (error: VirtioError) => void;
}

/** A console on a virtio device. */
export interface VirtioConsole extends StreamConsole {
  /** Idempotent. */
  close(): Promise<void>;
}

/**
 * Starts the first port of a virtio console (virtio 1.2 §5.3) as a `Console`.
 *
 * @throws VirtioError (rejects) when the device cannot be driven; WindowError when memory or interrupts are out.
 */
export async function createVirtioConsole(options: VirtioConsoleOptions): Promise<VirtioConsole> {
  const port = await openConsolePort(options);
  const console = createConsole({ input: port, output: port });
  return {
    writeLine: (line) => console.writeLine(line),
    readLine: (more) => console.readLine(more),
    get droppedLines() {
      return console.droppedLines;
    },
    close: () =>
      new Promise((resolve) => {
        if (port.destroyed) resolve();
        else port.once("close", resolve).destroy();
      }),
  };
}

/** {@link createVirtioConsole}'s bytes. Destroying the stream closes the device. */
export function openConsolePort(options: VirtioConsoleOptions): Promise<Duplex> {
  return new Promise((resolve) => resolve(new ConsolePort(options)));
}

class ConsolePort extends Duplex {
  readonly #device: VirtioDevice;
  readonly #receive: SplitQueue;
  readonly #transmit: SplitQueue;
  readonly #receiveKick: Kick;
  readonly #transmitKick: Kick;
  readonly #memory: DmaMemory;
  /** Buffers that wait to be offered again until the reader wants more. */
  readonly #held: number[] = [];
  readonly #free: number[] = [];
  /** What is being written, and does not fit yet. */
  #rest: Uint8Array | undefined;
  #written: (() => void) | undefined;
  #wantsMore = true;

  constructor(options: VirtioConsoleOptions) {
    super({ readableHighWaterMark: bufferSize * buffers });
    const device = new VirtioDevice({
      transport: options.device,
      type: deviceType.console,
      name: "virtio-console",
      wanted: [],
      onDead: (error) => {
        options.onDead?.(error);
        this.push(null);
        this.#rest = undefined;
        this.#finishWrite();
      },
    });
    this.#device = device;
    try {
      device.connect(() => this.#work());
      this.#receive = device.queue(receiveQueue, buffers);
      this.#transmit = device.queue(transmitQueue, buffers);
      this.#receiveKick = new Kick(device, this.#receive, receiveQueue);
      this.#transmitKick = new Kick(device, this.#transmit, transmitQueue);
      this.#memory = device.memory(2 * buffers * bufferSize);
      for (let index = 0; index < this.#receive.size; index++) {
        this.#receive.describe(index, this.#memory.physical + index * bufferSize, bufferSize, true, -1);
        this.#receive.offer(index, bufferSize);
      }
      for (let index = 0; index < this.#transmit.size; index++) this.#free.push(index);
      device.start();
      this.#receiveKick.now();
      this.#receive.arm();
      this.#transmit.arm();
    } catch (error) {
      device.close();
      throw error;
    }
  }

  override _read(): void {
    this.#wantsMore = true;
    for (const index of this.#held.splice(0)) this.#receive.offer(index, bufferSize);
    this.#receiveKick.soon();
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, callback: () => void): void {
    this.#rest = chunk;
    this.#written = callback;
    this.#send();
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#device.close();
    this.#finishWrite();
    callback(error);
  }

  #work(): void {
    do {
      for (let head = this.#receive.take(); head >= 0; head = this.#receive.take()) this.#take(head);
      for (let head = this.#transmit.take(); head >= 0; head = this.#transmit.take()) this.#free.push(head);
      for (const queue of [this.#receive, this.#transmit]) {
        if (queue.violation === undefined) continue;
        this.#device.breaks(queue);
        return;
      }
      // Nothing is offered to the receiving queue in this loop: it ends.
    } while (!this.#receive.arm() || !this.#transmit.arm());
    this.#send();
  }

  #take(head: number): void {
    const start = head * bufferSize;
    // A copy: the stream keeps it as long as it likes.
    if (this.#receive.usedLength > 0) {
      this.#wantsMore = this.push(this.#memory.bytes.slice(start, start + this.#receive.usedLength)) && this.#wantsMore;
    }
    if (!this.#wantsMore) this.#held.push(head);
    else {
      this.#receive.offer(head, bufferSize);
      this.#receiveKick.soon();
    }
  }

  #send(): void {
    while (this.#rest !== undefined && this.#device.isRunning) {
      const index = this.#free.pop();
      if (index === undefined) break;
      const part = this.#rest.subarray(0, bufferSize);
      const start = (buffers + index) * bufferSize;
      this.#memory.bytes.set(part, start);
      this.#transmit.describe(index, this.#memory.physical + start, part.length, false, -1);
      this.#transmit.offer(index, 0);
      this.#rest = part.length < this.#rest.length ? this.#rest.subarray(part.length) : undefined;
    }
    this.#transmitKick.now();
    if (this.#rest === undefined || !this.#device.isRunning) this.#finishWrite();
  }

  #finishWrite(): void {
    const written = this.#written;
    this.#written = undefined;
    written?.();
  }
}
