import { blockPart } from "@tesserae/block/part";
import type { Block } from "@tesserae/device/block";
import { type BackDriver, BackEnd } from "../bus/back-end.ts";
import type { DeviceNodes, OtherEnd } from "../bus/other-end.ts";
import type { XenDomain } from "../domain.ts";
import { XenError } from "../xen-error.ts";
import { BackQueue, type BlockService, serviceOf } from "./back-queue.ts";
import { directSegments, diskInfo, mostIndirectPages, protocol, segmentsOfPage, unit } from "./wire.ts";

export interface BlockBackOptions {
  /**
   * What is served, or what chooses it by the target that the toolstack was given (`target=` in xl's configuration, the
   * node `params`; empty where there is none). What that throws ends the device. It stays the caller's: closing the
   * back end flushes it, and does not close it.
   */
  readonly block: Block | ((target: string) => Block | Promise<Block>);
  /** Lets the device forget what sectors hold, numbered as the block's. Absent: front ends are told that it cannot. */
  readonly discard?: (sector: number, sectors: number) => Promise<void>;
  /** Pages of data in one request, 11 to 4096. Default 64. */
  readonly segments?: number;
  /** Requests of one ring that are worked on at a time. Default 16. */
  readonly concurrency?: number;
  /** The largest ring, as the logarithm of its pages, 0 to 4. Default 2. */
  readonly ringOrder?: number;
  /** Rings at most, 1 to 16. Default 4. */
  readonly queues?: number;
  /** Pages of data of one ring that stay mapped; 0 for none. Default 1024. */
  readonly persistent?: number;
}

/** Serves a block device to a front end (blkback). `path` is the back end's: `backend/vbd/DOMAIN/DEVICE`. */
export function serveBlock(domain: XenDomain, path: string, options: BlockBackOptions): BlockBack {
  return new BlockBack(domain, path, options);
}

/** The back end of a block device. */
export class BlockBack {
  readonly #driver: Driver;
  /** Its handshake, for a directory of back ends. */
  readonly end: BackEnd;

  /** @throws RangeError when an option is out of range. */
  constructor(domain: XenDomain, path: string, options: BlockBackOptions) {
    this.#driver = new Driver(domain, path, options, (reason) => this.end.fail(reason));
    this.end = new BackEnd(domain, path, this.#driver);
  }

  /** Whether a front end is connected. */
  get isConnected(): boolean {
    return this.end.isConnected;
  }

  /** Resolves once the device is over for good, with why. Never rejects. */
  get over(): Promise<XenError> {
    return this.end.over;
  }

  /** Ends the device and flushes the block. Idempotent; never rejects. */
  async close(): Promise<void> {
    await this.end.close();
    const { block } = this.#driver;
    if (block?.readOnly === false) await block.flush().catch(() => undefined);
  }
}

class Driver implements BackDriver {
  /** Once the device is offered. */
  block: Block | undefined;
  readonly #domain: XenDomain;
  readonly #path: string;
  readonly #options: BlockBackOptions;
  #service: BlockService | undefined;
  readonly #segments: number;
  readonly #concurrency: number;
  readonly #ringOrder: number;
  readonly #mostQueues: number;
  readonly #persistent: number;
  readonly #failed: (reason: XenError) => void;
  #queues: BackQueue[] = [];

  constructor(domain: XenDomain, path: string, options: BlockBackOptions, failed: (reason: XenError) => void) {
    const { segments = 64, concurrency = 16, ringOrder = 2, queues = 4, persistent = 1024 } = options;
    check("segments", segments, directSegments, segmentsOfPage * mostIndirectPages);
    check("concurrency", concurrency, 1, 1024);
    check("ringOrder", ringOrder, 0, 4);
    check("queues", queues, 1, 16);
    check("persistent", persistent, 0, 65_536);
    this.#domain = domain;
    this.#path = path;
    this.#options = options;
    this.#segments = segments;
    this.#concurrency = concurrency;
    this.#ringOrder = ringOrder;
    this.#mostQueues = queues;
    this.#persistent = persistent;
    this.#failed = failed;
  }

  async features(): Promise<DeviceNodes> {
    const block = (this.block ??= await this.#open());
    this.#service ??= serviceOf(block, block.readOnly ? undefined : this.#options.discard);
    return {
      "feature-flush-cache": 1,
      "feature-barrier": 1,
      "feature-persistent": this.#persistent > 0 ? 1 : 0,
      "feature-max-indirect-segments": this.#segments,
      "max-ring-page-order": this.#ringOrder,
      "max-ring-pages": 2 ** this.#ringOrder,
      "multi-queue-max-queues": this.#mostQueues,
      ...(this.#service.discard !== undefined && {
        "feature-discard": 1,
        "discard-granularity": block.sectorSize,
        "discard-alignment": 0,
        "discard-secure": 0,
      }),
    };
  }

  /** A guest that the toolstack gives a disk to read does not write it, whatever its front end asks for. */
  async #open(): Promise<Block> {
    const { xenstore } = this.#domain;
    const [target, mode] = await Promise.all(
      ["params", "mode"].map((name) => xenstore.readIfThere(`${this.#path}/${name}`)),
    );
    const { block } = this.#options;
    const chosen = typeof block === "function" ? await block(target ?? "") : block;
    return mode === "r" && !chosen.readOnly ? blockPart(chosen, { readOnly: true }) : chosen;
  }

  async connect(front: OtherEnd): Promise<DeviceNodes> {
    const block = this.block;
    const service = this.#service;
    if (block === undefined || service === undefined) throw new XenError("refused", "the disk was not offered");
    const [said, order, count, isPersistent] = await Promise.all([
      front.read("protocol"),
      front.readInteger("ring-page-order", 0, this.#ringOrder, 0),
      front.readInteger("multi-queue-num-queues", 1, this.#mostQueues, 1),
      front.readFlag("feature-persistent"),
    ]);
    if ((said ?? protocol) !== protocol) {
      throw new XenError("protocol", `${front.path}/protocol is "${(said ?? "").slice(0, 40)}", not ${protocol}`);
    }
    const places = await Promise.all(
      Array.from({ length: count }, (_, index) => readPlace(front, count === 1 ? "" : `queue-${index}/`, order)),
    );
    const failed = (reason: XenError): void =>
      this.#failed(new XenError(reason.kind, `${front.path}: ${reason.message}`));
    for (const { references, port } of places) {
      this.#queues.push(
        new BackQueue({
          domain: this.#domain,
          service,
          front: front.domain,
          references,
          port,
          mostSegments: this.#segments,
          concurrency: this.#concurrency,
          persistent: isPersistent ? this.#persistent : 0,
          failed,
        }),
      );
    }
    return {
      sectors: service.units,
      "sector-size": unit,
      "physical-sector-size": block.sectorSize,
      info: block.readOnly ? diskInfo.readOnly : 0,
    };
  }

  disconnect(_: XenError, isVoid: boolean): void {
    for (const queue of this.#queues) queue.close(isVoid);
    this.#queues = [];
  }
}

/** Where a ring is, as the front end says. */
async function readPlace(
  front: OtherEnd,
  prefix: string,
  order: number,
): Promise<{ references: number[]; port: number }> {
  const names =
    order === 0 && (await front.read(`${prefix}ring-ref`)) !== undefined
      ? ["ring-ref"]
      : Array.from({ length: 2 ** order }, (_, page) => `ring-ref${page}`);
  const [port, ...references] = await Promise.all([
    front.readInteger(`${prefix}event-channel`, 0, 0xffff_ffff),
    ...names.map((name) => front.readInteger(`${prefix}${name}`, 0, 0xffff_ffff)),
  ]);
  return { references, port };
}

function check(name: string, value: number, least: number, most: number): void {
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new RangeError(`${name} ${value} is not an integer from ${least} to ${most}`);
  }
}
