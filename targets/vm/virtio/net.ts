import { randomFillSync } from "node:crypto";
import { MacAddress } from "@tesserae/device/address";
import type { FrameHandler, Netif, NetifFeatures, NetifStatistics } from "@tesserae/device/netif";
import type { Page } from "@tesserae/device/page";
import { holdClock, releaseClock } from "@tesserae/node/process-clock";
import { VirtioDevice } from "./device.ts";
import { netFeature } from "./features.ts";
import { NetReceiver } from "./net-receiver.ts";
import type { SplitQueue } from "./queue.ts";
import { deviceType, type Transport } from "./transport.ts";
import { longestSegmented, TransmitPages } from "./transmit-pages.ts";
import type { VirtioError } from "./virtio-error.ts";

const receiveQueue = 0;
const transmitQueue = 1;
const configurationMac = 0;
const configurationMtu = 10;
const ethernetHeader = 14;
const leastMtu = 576;
/** TCP payload in one frame for the device to cut: with the longest headers, still an IP packet. */
const longestPayload = 65_535 - 80;
/** Frames received in one turn of the event loop: then timers and everything else get theirs. */
const batch = 64;
/** Turns of the event loop without a frame after which the interrupt is armed. */
const idleTurns = 2;
/** From so many frames under way on, the device is looked at for finished ones after each batch. */
const reapFrom = 32;

export interface VirtioNetOptions {
  readonly device: Transport;
  /** Default `eth0`. */
  readonly name?: string;
  /** Our address on the link; default: the device's, else a random one. */
  readonly mac?: MacAddress;
  /** At most what the device allows, which is also the default. In bytes, from 576. */
  readonly mtu?: number;
  /**
   * Lets device and stack leave checksums out and hand over frames with several TCP segments, where nothing on the way
   * can have damaged them: `Page.segmentSize` and `needsChecksum` tell. To be turned off where every frame must be as
   * on a wire, for a capture or with faults. Default true.
   */
  readonly offload?: boolean;
  /** Pages to build frames in, at least 2. Default 256; the device may have room for fewer. */
  readonly pages?: number;
  /** Buffers for received frames, at least 2. Default 256, less where each must hold 64 KiB. */
  readonly receiveBuffers?: number;
  /** Gets a failure after which no frame comes any more. Default: a line on stderr. */
  readonly onDead?: (error: VirtioError) => void;
}

/**
 * Starts a virtio network device (virtio 1.2 §5.1) as a {@link Netif}.
 *
 * @throws VirtioError (rejects) when the device cannot be driven; WindowError when memory or interrupts are out;
 * RangeError for an option out of range.
 */
export function createVirtioNet(options: VirtioNetOptions): Promise<Netif> {
  return new Promise((resolve) => resolve(new VirtioNetif(options)));
}

class VirtioNetif implements Netif, NetifStatistics {
  readonly name: string;
  readonly mac: MacAddress;
  readonly mtu: number;
  readonly features: NetifFeatures;

  sentFrames = 0;
  sentBytes = 0;

  readonly #device: VirtioDevice;
  readonly #longestFrame: number;
  readonly #receiver: NetReceiver;
  readonly #receiveQueue: SplitQueue;
  readonly #transmitQueue: SplitQueue;
  readonly #transmitPages: TransmitPages;
  #droppedToSend = 0;
  #polling = false;
  #inBatch = false;
  #flushQueued = false;
  #idle = 0;
  #closed = false;
  readonly #flushLater: () => void;
  readonly #pollLater: () => void;

  constructor(options: VirtioNetOptions) {
    const { mtu: wantedMtu, pages = 256, receiveBuffers = 256, offload = true } = options;
    checkCount("pages", pages);
    checkCount("receiveBuffers", receiveBuffers);
    this.name = options.name ?? "eth0";
    const device = new VirtioDevice({
      transport: options.device,
      type: deviceType.net,
      name: "virtio-net",
      wanted: [...baseFeatures, ...(offload ? offloadFeatures : [])],
      onDead: options.onDead ?? ((error) => void process.stderr.write(`${error.message}\n`)),
    });
    this.#device = device;
    try {
      this.mac = options.mac ?? (device.has(netFeature.mac) ? readMac(device.transport) : randomMac());
      this.mtu = chooseMtu(device, wantedMtu);
      this.#longestFrame = this.mtu + ethernetHeader;
      this.#flushLater = () => {
        this.#flushQueued = false;
        this.#flush();
      };
      this.#pollLater = () => this.#poll();
      device.connect(() => this.#wake());
      this.#receiveQueue = device.queue(receiveQueue, powerOfTwo(receiveBuffers));
      this.#transmitQueue = device.queue(transmitQueue, powerOfTwo(pages));
      this.#receiver = new NetReceiver(device, this.#receiveQueue, this.#longestFrame);
      const transmitChecksum = device.has(netFeature.checksum);
      const segmented = transmitChecksum && device.has(netFeature.hostTso4);
      this.#transmitPages = new TransmitPages(device, this.#transmitQueue, pages, this.mtu, segmented);
      const maxSegmentation = this.#transmitPages.hasLong ? longestPayload : 0;
      this.features = { transmitChecksum, maxSegmentation };
      this.#transmitQueue.disarm();
      this.#receiver.offerAll();
      device.start();
      if (this.#receiveQueue.publish()) device.transport.notify(receiveQueue);
      if (!this.#receiveQueue.arm()) this.#wake();
    } catch (error) {
      device.close();
      throw error;
    }
  }

  get statistics(): NetifStatistics {
    return this;
  }

  get receivedFrames(): number {
    return this.#receiver.frames;
  }

  get receivedBytes(): number {
    return this.#receiver.bytes;
  }

  get droppedFrames(): number {
    return this.#droppedToSend + this.#receiver.dropped;
  }

  listen(handler: FrameHandler): void {
    this.#receiver.handler = handler;
  }

  allocate(length = this.mtu): Page | undefined {
    if (this.#closed) return undefined;
    const long = length > this.mtu;
    const page = this.#transmitPages.take(long);
    if (page !== undefined || !this.#device.isRunning) return page;
    // What is offered but not published would never come back.
    this.#flush();
    this.#transmitPages.reap();
    return this.#transmitPages.take(long);
  }

  transmit(page: Page, offset: number, length: number): boolean {
    const isCut = page.segmentSize > 0 && this.features.maxSegmentation > 0;
    if (length < 0 || length > (isCut ? longestSegmented : this.#longestFrame) || !this.#device.isRunning) {
      this.#droppedToSend++;
      this.#transmitPages.release(page);
      return false;
    }
    this.#transmitPages.send(page, offset, length);
    this.sentFrames++;
    this.sentBytes += length;
    // Inside a batch it is flushed at its end; else when whoever sends has returned to the event loop.
    if (!this.#inBatch && !this.#flushQueued) {
      this.#flushQueued = true;
      queueMicrotask(this.#flushLater);
    }
    return true;
  }

  release(page: Page): void {
    this.#transmitPages.release(page);
  }

  close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      this.#flush();
      this.#transmitPages.reap();
      this.#transmitPages.abandon();
      this.#device.close();
    }
    return Promise.resolve();
  }

  /** An interrupt: from now on the queue is polled. */
  #wake(): void {
    if (this.#polling) return;
    this.#polling = true;
    this.#receiveQueue.disarm();
    this.#poll();
  }

  #poll(): void {
    if (!this.#device.isRunning) return;
    // One batch is one moment: the stack asks for the time several times a frame, which would cost as much as the rest.
    holdClock();
    this.#inBatch = true;
    let count = 0;
    try {
      count = this.#receiver.receive(batch);
    } finally {
      this.#inBatch = false;
      releaseClock();
      this.#flush();
      this.#pollAgain(count);
    }
  }

  /** Polls on while frames come, else arms the interrupt. */
  #pollAgain(count: number): void {
    if (!this.#device.isRunning) return;
    if (this.#transmitQueue.inFlight >= reapFrom) this.#transmitPages.reap();
    this.#idle = count === 0 ? this.#idle + 1 : 0;
    if (this.#idle < idleTurns || !this.#receiveQueue.arm()) {
      setImmediate(this.#pollLater);
      return;
    }
    this.#idle = 0;
    this.#polling = false;
  }

  /** Hands over what was offered in both directions, with one notification each at most. */
  #flush(): void {
    const device = this.#device;
    if (!device.isRunning) return;
    if (this.#transmitQueue.publish()) device.transport.notify(transmitQueue);
    if (this.#receiveQueue.publish()) device.transport.notify(receiveQueue);
  }
}

const baseFeatures = [netFeature.mac, netFeature.mtu, netFeature.mergeableBuffers];
const offloadFeatures = [netFeature.checksum, netFeature.hostTso4, netFeature.guestChecksum, netFeature.guestTso4];

function checkCount(name: string, value: number): void {
  if (!Number.isInteger(value) || value < 2 || value > 32_768) {
    throw new RangeError(`${name} ${String(value)} is not an integer from 2 to 32768`);
  }
}

/** The least power of two that is not less. */
function powerOfTwo(value: number): number {
  return 2 ** Math.ceil(Math.log2(value));
}

function readMac(transport: Transport): MacAddress {
  const bytes = new Uint8Array(6);
  // Read again when the device changed it meanwhile (§2.5.1); a device that does so for ever is not waited for.
  for (let round = 0; round < 4; round++) {
    const before = transport.generation();
    for (let index = 0; index < 6; index++) bytes[index] = transport.configuration8(configurationMac + index);
    if (transport.generation() === before) break;
  }
  const mac = MacAddress.read(bytes, 0);
  return mac.isGroup || mac.equals(MacAddress.zero) ? randomMac() : mac;
}

/** Locally administered, for one host. */
function randomMac(): MacAddress {
  const bytes = randomFillSync(new Uint8Array(6));
  bytes[0] = ((bytes[0] ?? 0) & 0xfc) | 2;
  return MacAddress.read(bytes, 0);
}

function chooseMtu(device: VirtioDevice, wanted: number | undefined): number {
  const offered = device.has(netFeature.mtu) ? device.transport.configuration16(configurationMtu) : 1500;
  // A device with nonsense here gets what every link can carry.
  const most = offered < leastMtu ? leastMtu : offered;
  if (wanted === undefined) return most;
  if (Number.isInteger(wanted) && wanted >= leastMtu && wanted <= most) return wanted;
  throw new RangeError(`mtu ${String(wanted)} is not an integer from ${String(leastMtu)} to ${String(most)}`);
}
