import type { Block } from "@tesserae/device/block";
import type { XenDomain } from "../domain.ts";
import type { EventChannel } from "../event-channel.ts";
import { type CopyBatch, copyStatus, type MappedPages, pageSize, type SharedPages } from "../grant.ts";
import { BackRing } from "../ring.ts";
import { XenError } from "../xen-error.ts";
import { PersistentPages } from "./persistent-pages.ts";
import {
  BlockRequest,
  directSegments,
  entrySize,
  mostIndirectPages,
  operation,
  responseStatus,
  segmentSize,
  segmentsOfPage,
  unit,
  writeResponse,
} from "./wire.ts";

/** What serves a block device: sectors as the other end counts them, of 512 bytes. */
export interface BlockService {
  /** How many of 512 bytes. */
  readonly units: number;
  readonly readOnly: boolean;
  read(place: number, into: Uint8Array): Promise<void>;
  write(place: number, bytes: Uint8Array): Promise<void>;
  flush(): Promise<void>;
  /** Absent: not supported. */
  readonly discard?: (place: number, units: number) => Promise<void>;
}

export interface QueueOptions {
  readonly domain: XenDomain;
  readonly service: BlockService;
  /** The domain of the front end. */
  readonly front: number;
  /** Of the ring's pages, in order. */
  readonly references: readonly number[];
  readonly port: number;
  /** Pages of data in one request. */
  readonly mostSegments: number;
  /** Requests worked on at a time. */
  readonly concurrency: number;
  /** Pages of data kept mapped; 0: the front end does not use the same ones again. */
  readonly persistent: number;
  /** The front end broke the protocol. */
  readonly failed: (reason: XenError) => void;
}

/** What a request needs while it is worked on. */
class Job {
  readonly request: BlockRequest;
  readonly pages: SharedPages;
  readonly batch: CopyBatch;

  constructor(domain: XenDomain, mostSegments: number) {
    this.request = new BlockRequest(mostSegments);
    this.pages = domain.allocate(Math.max(mostSegments, mostIndirectPages));
    this.batch = domain.foreign.createCopyBatch(mostSegments);
  }
}

/** One ring of a back end. */
export class BackQueue {
  readonly #options: QueueOptions;
  readonly #mapped: MappedPages;
  readonly #channel: EventChannel;
  readonly #ring: BackRing;
  readonly #view: DataView;
  readonly #persistent: PersistentPages | undefined;
  readonly #idle: Job[] = [];
  #jobs = 0;
  #busy = 0;
  /** A barrier: nothing is begun before all that was begun is done. */
  #barrier: Job | undefined;
  #isBarrierBegun = false;
  #isOver = false;

  /** @throws XenError when the ring or the channel is not there: nothing stays mapped then. */
  constructor(options: QueueOptions) {
    const { domain, front, references, port, persistent } = options;
    this.#options = options;
    this.#mapped = domain.foreign.map(front, references, "read-write");
    try {
      this.#channel = domain.events.bind(front, port, () => this.#serve());
    } catch (error) {
      this.#mapped.unmap();
      throw error;
    }
    const { bytes } = this.#mapped;
    this.#ring = new BackRing(bytes, entrySize);
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    if (persistent > 0) this.#persistent = new PersistentPages(domain, front, persistent);
  }

  /** @param isVoid mappings and channels are forgotten, not ended */
  close(isVoid: boolean): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (!isVoid) {
      this.#channel.close();
      this.#mapped.unmap();
    }
    this.#persistent?.close(isVoid);
    for (const job of this.#idle) job.pages.release();
    this.#idle.length = 0;
    if (!this.#isBarrierBegun) this.#barrier?.pages.release();
  }

  #serve(): void {
    const ring = this.#ring;
    while (!this.#isOver) {
      for (let left = ring.available; left !== 0; left--) {
        if (left < 0) {
          this.#fail("there are more requests than the ring has room for");
          return;
        }
        if (this.#barrier !== undefined) return;
        const job = this.#take();
        // Whoever is done looks again.
        if (job === undefined) return;
        job.request.read(this.#view, ring.nextRequest());
        if (job.request.kind === operation.barrier) {
          this.#barrier = job;
          this.#isBarrierBegun = false;
        } else this.#begin(job);
        this.#beginBarrier();
      }
      if (!ring.finalCheck()) return;
    }
  }

  #take(): Job | undefined {
    const idle = this.#idle.pop();
    if (idle !== undefined) return idle;
    const { concurrency, domain, mostSegments } = this.#options;
    if (this.#jobs >= concurrency) return undefined;
    try {
      const job = new Job(domain, mostSegments);
      this.#jobs++;
      return job;
    } catch (error) {
      // With one at least it goes on, if slowly.
      if (error instanceof XenError && this.#jobs > 0) return undefined;
      this.#fail(error instanceof Error ? error.message : String(error));
      return undefined;
    }
  }

  #begin(job: Job): void {
    this.#busy++;
    this.#execute(job).then(
      (status) => this.#done(job, status),
      () => this.#done(job, responseStatus.error),
    );
  }

  #done(job: Job, status: number): void {
    this.#busy--;
    if (this.#isOver) {
      job.pages.release();
      return;
    }
    const { idLow, idHigh, kind, innerKind } = job.request;
    // Linux gives a disk up whose answers say of an indirect request that it was one.
    const answered = kind === operation.indirect ? innerKind : kind;
    writeResponse(this.#view, this.#ring.nextResponse(), idLow, idHigh, answered, status);
    if (this.#ring.push()) this.#channel.notify();
    if (this.#barrier === job) this.#barrier = undefined;
    this.#idle.push(job);
    this.#beginBarrier();
    this.#serve();
  }

  #beginBarrier(): void {
    if (this.#barrier === undefined || this.#busy > 0) return;
    this.#isBarrierBegun = true;
    this.#begin(this.#barrier);
  }

  async #execute(job: Job): Promise<number> {
    const { request } = job;
    const { service } = this.#options;
    let { kind } = request;
    if (kind === operation.indirect) {
      if (!this.#readIndirect(job)) return responseStatus.error;
      kind = request.innerKind;
      if (kind !== operation.read && kind !== operation.write) return responseStatus.error;
    } else if (request.segments > directSegments) return responseStatus.error;
    switch (kind) {
      case operation.read:
        return this.#read(job);
      case operation.write:
        return this.#write(job);
      case operation.barrier:
        await service.flush();
        if (request.segments > 0) {
          const status = await this.#write(job);
          if (status !== responseStatus.okay) return status;
          await service.flush();
        }
        return responseStatus.okay;
      case operation.flush:
        await service.flush();
        return request.segments > 0 ? this.#write(job) : responseStatus.okay;
      case operation.discard:
        return this.#discard(request);
      default:
        return responseStatus.notSupported;
    }
  }

  /** The bytes that the request is about; 0: it is not one that can be. */
  #length({ request }: Job): number {
    const { units } = request;
    return units > 0 && request.place + units <= this.#options.service.units ? units * unit : 0;
  }

  async #read(job: Job): Promise<number> {
    const length = this.#length(job);
    if (length === 0) return responseStatus.error;
    await this.#options.service.read(job.request.place, job.pages.bytes.subarray(0, length));
    if (this.#isOver) return responseStatus.error;
    return this.#move(job, false) ? responseStatus.okay : responseStatus.error;
  }

  async #write(job: Job): Promise<number> {
    const length = this.#length(job);
    if (length === 0 || this.#options.service.readOnly || !this.#move(job, true)) return responseStatus.error;
    await this.#options.service.write(job.request.place, job.pages.bytes.subarray(0, length));
    return responseStatus.okay;
  }

  async #discard({ place, length }: BlockRequest): Promise<number> {
    const { service } = this.#options;
    if (service.discard === undefined) return responseStatus.notSupported;
    if (length === 0 || !(place + length <= service.units) || service.readOnly) return responseStatus.error;
    await service.discard(place, length);
    return responseStatus.okay;
  }

  /** Fetches the segments from the pages that name them. False: they are not what they should be. */
  #readIndirect({ request, pages, batch }: Job): boolean {
    const { segments } = request;
    const { front, mostSegments } = this.#options;
    if (segments === 0 || segments > mostSegments) return false;
    const count = Math.ceil(segments / segmentsOfPage);
    batch.clear();
    for (let index = 0; index < count; index++) {
      const bytes = Math.min(segments - index * segmentsOfPage, segmentsOfPage) * segmentSize;
      batch.addFrom(front, request.indirect[index] ?? 0, 0, pages, index * pageSize, bytes);
    }
    batch.run();
    for (let index = 0; index < count; index++) if (batch.status(index) !== copyStatus.okay) return false;
    const { bytes } = pages;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let index = 0; index < segments; index++) request.readSegment(index, view, index * segmentSize);
    return true;
  }

  /** Copies between the front end's pages and ours. False: some of them are not there. */
  #move(job: Job, isIn: boolean): boolean {
    if (this.#persistent !== undefined) return this.#persistent.move(job.request, job.pages.bytes, isIn);
    const { request, pages, batch } = job;
    const { front } = this.#options;
    batch.clear();
    let own = 0;
    let copies = 0;
    for (let index = 0; index < request.segments; index++) {
      const reference = request.references[index] ?? 0;
      let offset = (request.first[index] ?? 0) * unit;
      const end = ((request.last[index] ?? 0) + 1) * unit;
      while (offset < end) {
        // On our side a segment may lie across the end of a page.
        const length = Math.min(end - offset, pageSize - (own % pageSize));
        if (copies === batch.capacity) {
          if (!isCopied(batch)) return false;
          batch.clear();
          copies = 0;
        }
        if (isIn) batch.addFrom(front, reference, offset, pages, own, length);
        else batch.addTo(pages, own, front, reference, offset, length);
        copies++;
        offset += length;
        own += length;
      }
    }
    return isCopied(batch);
  }

  #fail(what: string): void {
    this.#options.failed(new XenError("protocol", what));
  }
}

function isCopied(batch: CopyBatch): boolean {
  batch.run();
  for (let index = 0; index < batch.length; index++) if (batch.status(index) !== copyStatus.okay) return false;
  return true;
}

/** A block device in units of 512 bytes, whatever its sectors are. */
export function serviceOf(block: Block, discard?: (sector: number, sectors: number) => Promise<void>): BlockService {
  const ratio = block.sectorSize / unit;
  if (ratio === 1) {
    return {
      units: block.sectors,
      readOnly: block.readOnly,
      read: (place, into) => block.read(place, into),
      write: (place, bytes) => block.write(place, bytes),
      flush: () => block.flush(),
      ...(discard !== undefined && { discard }),
    };
  }
  // What is not a whole number of sectors is read, changed and written: one after the other.
  let last: Promise<void> = Promise.resolve();
  const around = async (place: number, length: number): Promise<Uint8Array> => {
    const first = Math.floor(place / ratio);
    const end = Math.ceil((place + length / unit) / ratio);
    const whole = new Uint8Array((end - first) * block.sectorSize);
    await block.read(first, whole);
    return whole;
  };
  return {
    units: block.sectors * ratio,
    readOnly: block.readOnly,
    flush: () => block.flush(),
    read: async (place, into) => {
      if (place % ratio === 0 && into.length % block.sectorSize === 0) {
        await block.read(place / ratio, into);
        return;
      }
      const start = (place % ratio) * unit;
      into.set((await around(place, into.length)).subarray(start, start + into.length));
    },
    write: (place, bytes) => {
      const write = async (): Promise<void> => {
        if (place % ratio === 0 && bytes.length % block.sectorSize === 0) {
          await block.write(place / ratio, bytes);
          return;
        }
        const whole = await around(place, bytes.length);
        whole.set(bytes, (place % ratio) * unit);
        await block.write(Math.floor(place / ratio), whole);
      };
      const writing = last.then(write);
      last = writing.catch(() => undefined);
      return writing;
    },
    ...(discard !== undefined && {
      // A sector that is only partly meant is kept.
      discard: async (place: number, units: number): Promise<void> => {
        const first = Math.ceil(place / ratio);
        const end = Math.floor((place + units) / ratio);
        if (end > first) await discard(first, end - first);
      },
    }),
  };
}
