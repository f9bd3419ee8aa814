import { checkRange } from "@tesserae/block/range";
import { type Block, BlockError } from "@tesserae/device/block";
import type { Timer } from "@tesserae/device/clock";
import type { DeviceNodes, OtherEnd } from "../bus/other-end.ts";
import { type FrontDriver, FrontEnd, type FrontEndOptions } from "../bus/front-end.ts";
import { xenbusState } from "../bus/state.ts";
import type { XenDomain } from "../domain.ts";
import { Reclaimer } from "../reclaim.ts";
import { XenError } from "../xen-error.ts";
import { FrontQueue, type QueueAbilities } from "./front-queue.ts";
import { Operation } from "./operation.ts";
import { directSegments, diskInfo, operation, protocol, unit } from "./wire.ts";

export interface BlockFrontOptions extends FrontEndOptions {
  /** Pages of data in one request, where the back end takes as many; 1 to 256. Default 32. */
  readonly segments?: number;
  /** Pages of data that may be under way, at least `segments`. Default 256: 1 MiB. */
  readonly pages?: number;
  /** The ring, as the logarithm of its pages, where the back end takes that; 0 to 4. Default 0. */
  readonly ringOrder?: number;
  /** Milliseconds that requests wait for a back end that is gone, before they fail. Default 60,000. */
  readonly patience?: number;
}

/**
 * A block device that another domain serves (blkfront). What was under way when the back end left, or the domain was
 * suspended, is asked for again from the next.
 *
 * @param path of the front end: `device/vbd/51712`
 * @throws XenError (rejects) when it is not ready in time, or the back end makes no sense; RangeError for an option.
 */
export async function connectBlock(
  domain: XenDomain,
  path: string,
  options: BlockFrontOptions = {},
): Promise<BlockFront> {
  const front = new BlockFront(domain, path, options);
  await front.ready;
  return front;
}

/** The front end of a block device. */
export class BlockFront implements Block {
  readonly ready: Promise<void>;
  readonly #domain: XenDomain;
  readonly #end: FrontEnd;
  readonly #reclaimer: Reclaimer;
  readonly #options: Required<Omit<BlockFrontOptions, keyof FrontEndOptions>>;
  readonly #patience: Timer;
  /** All that was asked for and is not done: in the order in which it was. */
  readonly #operations = new Set<Operation>();
  #queue: FrontQueue | undefined;
  #abilities: QueueAbilities = { flush: "none", discard: false, segments: directSegments };
  #sectorSize = unit;
  #sectors = 0;
  #info = 0;
  #isWritable = true;
  #isClosed = false;
  #closing: Promise<void> | undefined;

  constructor(domain: XenDomain, path: string, options: BlockFrontOptions = {}) {
    const { segments = 32, pages = 256, ringOrder = 0, patience = 60_000 } = options;
    if (!(segments >= 1 && segments <= 256)) throw new RangeError(`segments ${segments} is not from 1 to 256`);
    if (!(pages >= segments)) throw new RangeError(`pages ${pages} is less than a request's ${segments}`);
    if (!(ringOrder >= 0 && ringOrder <= 4)) throw new RangeError(`ringOrder ${ringOrder} is not from 0 to 4`);
    this.#domain = domain;
    this.#options = { segments, pages, ringOrder, patience };
    this.#reclaimer = new Reclaimer(domain);
    this.#patience = domain.timers.timer(() => {
      this.#failAll(new BlockError("io", -1, `${path}: no back end for ${patience} ms`));
    });
    const driver: FrontDriver = {
      published: xenbusState.initialised,
      connect: (back) => this.#connect(back),
      begin: (back) => this.#begin(back),
      disconnect: (reason, isVoid, isOver) => this.#disconnect(reason, isVoid, isOver),
    };
    this.#end = new FrontEnd(domain, path, driver, options);
    this.ready = this.#end.ready;
  }

  get sectorSize(): number {
    return this.#sectorSize;
  }

  get sectors(): number {
    return this.#sectors;
  }

  get readOnly(): boolean {
    return (this.#info & diskInfo.readOnly) !== 0 || !this.#isWritable;
  }

  /** Whether {@link BlockFront.discard} does something. */
  get canDiscard(): boolean {
    return this.#abilities.discard;
  }

  /** Resolves once the device is over for good, with why. Never rejects. */
  get over(): Promise<XenError> {
    return this.#end.over;
  }

  /** Requests that are with the back end. */
  get inFlight(): number {
    return this.#queue?.inFlight ?? 0;
  }

  async read(sector: number, into: Uint8Array): Promise<void> {
    checkRange(this, "into", sector, into);
    await this.#submit(operation.read, sector, into, into.length);
  }

  async write(sector: number, bytes: Uint8Array): Promise<void> {
    checkRange(this, "bytes", sector, bytes);
    this.#checkOpen(sector);
    if (this.readOnly) throw new BlockError("read-only", sector, "the device is read-only");
    await this.#submit(operation.write, sector, bytes, bytes.length);
  }

  async flush(): Promise<void> {
    this.#checkOpen(-1);
    // Nothing of a device without a cache that is written is at risk.
    if (this.#abilities.flush !== "none" && !this.readOnly) await this.#flush();
  }

  #flush(): Promise<void> {
    return this.#submit(operation.flush, 0, undefined, 0);
  }

  /**
   * Lets the device forget what the sectors hold. Does nothing where the device cannot.
   *
   * @throws RangeError (rejects) when they do not lie on the device; BlockError.
   */
  async discard(sector: number, sectors: number): Promise<void> {
    if (!Number.isInteger(sectors) || sectors < 1 || !(sector >= 0 && sector + sectors <= this.#sectors)) {
      throw new RangeError(`sector ${sector}, ${sectors} long, is not on a device of ${this.#sectors} sectors`);
    }
    this.#checkOpen(sector);
    if (this.readOnly) throw new BlockError("read-only", sector, "the device is read-only");
    if (this.#abilities.discard) await this.#submit(operation.discard, sector, undefined, sectors * this.sectorSize);
  }

  #submit(kind: number, sector: number, bytes: Uint8Array | undefined, length: number): Promise<void> {
    this.#checkOpen(sector);
    return new Promise((resolve, reject) => {
      const done = (each: Operation, error: BlockError | undefined): void => {
        this.#operations.delete(each);
        if (error === undefined) resolve();
        else reject(error);
      };
      const place = (sector * this.#sectorSize) / unit;
      const each = new Operation(kind, sector, place, bytes, length, done);
      this.#operations.add(each);
      this.#queue?.add(each);
    });
  }

  #checkOpen(sector: number): void {
    if (this.#isClosed) throw new BlockError("closed", sector, "the device is closed");
    const { reason } = this.#end;
    if (reason !== undefined) throw new BlockError("io", sector, reason.message, { cause: reason });
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const isWorking = this.#end.isWorking;
    const flushed =
      isWorking && this.#abilities.flush !== "none" && !this.readOnly
        ? this.#flush().catch(() => undefined)
        : undefined;
    this.#isClosed = true;
    await flushed;
    await this.#end.close();
  }

  async #connect(back: OtherEnd): Promise<DeviceNodes> {
    const { segments, pages, ringOrder } = this.#options;
    const [mostOrder, mostSegments, canFlush, canBarrier, canDiscard, mode] = await Promise.all([
      back.readInteger("max-ring-page-order", 0, 32, 0),
      back.readInteger("feature-max-indirect-segments", 0, 0xffff_ffff, 0),
      back.readFlag("feature-flush-cache"),
      back.readFlag("feature-barrier"),
      back.readFlag("feature-discard"),
      back.read("mode"),
    ]);
    this.#isWritable = mode !== "r";
    this.#abilities = {
      flush: canFlush ? "flush" : canBarrier ? "barrier" : "none",
      discard: canDiscard,
      segments: Math.min(segments, Math.max(mostSegments, directSegments)),
    };
    const queue = new FrontQueue(this.#domain, this.#reclaimer, {
      back: back.domain,
      order: Math.min(ringOrder, mostOrder),
      pages,
      abilities: this.#abilities,
      failed: (reason) => this.#end.fail(reason),
      path: back.path,
    });
    this.#queue = queue;
    return { ...queue.nodes, protocol, "feature-persistent": 1 };
  }

  async #begin(back: OtherEnd): Promise<void> {
    const [sectorSize, units, info] = await Promise.all([
      back.readInteger("sector-size", unit, 4096, unit),
      back.readInteger("sectors", 1, Number.MAX_SAFE_INTEGER),
      back.readInteger("info", 0, 0xffff_ffff, 0),
    ]);
    const sectors = Math.floor((units * unit) / sectorSize);
    const isKnown = this.#sectors !== 0;
    if (!Number.isInteger(Math.log2(sectorSize)) || (isKnown && sectorSize !== this.#sectorSize)) {
      throw badGeometry(back, `sector-size is ${sectorSize}`);
    }
    if (isKnown && sectors < this.#sectors) throw badGeometry(back, `the device has shrunk to ${sectors} sectors`);
    this.#sectorSize = sectorSize;
    this.#sectors = sectors;
    this.#info = info;
    this.#patience.cancel();
    // What was under way, and what has come since, in its order.
    const queue = this.#queue;
    if (queue === undefined) return;
    for (const each of this.#operations) {
      each.restart();
      queue.add(each);
    }
    queue.begin();
  }

  #disconnect(reason: XenError, isVoid: boolean, isOver: boolean): void {
    this.#queue?.close(isVoid);
    this.#queue = undefined;
    if (isOver) {
      const kind = reason.kind === "closed" ? "closed" : "io";
      this.#patience.cancel();
      this.#failAll(new BlockError(kind, -1, reason.message, { cause: reason }));
      this.#reclaimer.close();
    } else if (!this.#patience.armed) this.#patience.set(this.#domain.timers.now() + this.#options.patience);
  }

  #failAll(error: BlockError): void {
    for (const each of [...this.#operations]) each.fail(error);
  }
}

function badGeometry(back: OtherEnd, what: string): XenError {
  return new XenError("protocol", `${back.path}: ${what}`);
}
