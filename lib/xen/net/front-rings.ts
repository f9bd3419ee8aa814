import type { XenDomain } from "../domain.ts";
import type { EventChannel } from "../event-channel.ts";
import { type Access, pageSize, type SharedPages } from "../grant.ts";
import type { Reclaimer } from "../reclaim.ts";
import { FrontRing } from "../ring.ts";
import type { FramePages } from "./frame-pages.ts";
import { ChannelPair } from "./channel-pair.ts";
import { FrontQueue } from "./front-queue.ts";
import { FrontReceiver, type Reception } from "./front-receiver.ts";
import { FrontSender, type FrameGrants, type SendOffloads } from "./front-sender.ts";
import { grantAll } from "./page-grants.ts";
import { queuePath } from "./features.ts";
import { receiveEntry, transmitEntry } from "./wire.ts";

export interface FrontRingsOptions {
  readonly domain: Pick<XenDomain, "allocate" | "grants" | "events">;
  /** The domain of the back end. */
  readonly backend: number;
  /** How many pairs of rings, at least 1. */
  readonly count: number;
  /** Whether each ring has an event channel of its own. */
  readonly isSplit: boolean;
  readonly pages: FramePages;
  readonly offloads: SendOffloads;
  readonly reception: Reception;
  readonly wake: () => void;
  /** Takes the grants that the back end has not let go when all is over. */
  readonly reclaimer: Reclaimer;
}

interface SharedMemory {
  readonly pages: SharedPages;
  readonly references: Uint32Array;
}

/** All that a front end shares with one back end, for one connection. */
export class FrontRings {
  /** What the back end is to find in the front end's directory. */
  readonly nodes: Record<string, number> = {};
  readonly queues: FrontQueue[] = [];
  readonly #options: FrontRingsOptions;
  /** Memory of this connection, and leases of that in which frames are built, with their grants. */
  readonly #memory: SharedMemory[] = [];
  #isClosed = false;

  /** @throws XenError `exhausted`, `no-domain`: nothing stays taken then. */
  constructor(options: FrontRingsOptions) {
    this.#options = options;
    try {
      const { pages, count } = options;
      const grants: FrameGrants = {
        short: this.#grantFrames(pages.short),
        long: pages.long === undefined ? undefined : this.#grantFrames(pages.long),
      };
      for (let index = 0; index < count; index++) this.#open(index, grants);
      if (count > 1) this.nodes["multi-queue-num-queues"] = count;
    } catch (error) {
      this.close(false);
      throw error;
    }
  }

  #grantFrames(memory: SharedPages): Uint32Array {
    return this.#share(memory, this.#options.pages.lease(memory), "read-only").references;
  }

  /** @param held what is released when the grants have ended */
  #share(memory: SharedPages, held: SharedPages, access: Access): SharedMemory {
    const { domain, backend } = this.#options;
    try {
      const shared = { pages: held, references: grantAll(domain.grants, memory, backend, access) };
      this.#memory.push(shared);
      return shared;
    } catch (error) {
      held.release();
      throw error;
    }
  }

  #allocate(count: number): SharedMemory {
    const pages = this.#options.domain.allocate(count);
    return this.#share(pages, pages, "read-write");
  }

  #open(index: number, grants: FrameGrants): void {
    const { count, isSplit, pages, offloads, reception } = this.#options;
    const rings = this.#allocate(2);
    const transmitRing = new FrontRing(rings.pages.bytes.subarray(0, pageSize), transmitEntry);
    const receiveRing = new FrontRing(rings.pages.bytes.subarray(pageSize, 2 * pageSize), receiveEntry);
    const buffers = this.#allocate(receiveRing.capacity);
    const receiver = new FrontReceiver(receiveRing, buffers.pages.bytes, buffers.references, reception);
    const sender = new FrontSender(transmitRing, pages, grants, offloads);
    receiver.offer();
    receiver.publish();
    const transmitChannel = this.#channel();
    let receiveChannel = transmitChannel;
    if (isSplit) {
      try {
        receiveChannel = this.#channel();
      } catch (error) {
        transmitChannel.close();
        throw error;
      }
    }
    this.queues.push(new FrontQueue(sender, receiver, new ChannelPair(transmitChannel, receiveChannel)));
    const set = (name: string, value: number): void => {
      this.nodes[`${queuePath(index, count)}${name}`] = value;
    };
    set("tx-ring-ref", rings.references[0] ?? 0);
    set("rx-ring-ref", rings.references[1] ?? 0);
    if (isSplit) {
      set("event-channel-tx", transmitChannel.port);
      set("event-channel-rx", receiveChannel.port);
    } else set("event-channel", transmitChannel.port);
  }

  #channel(): EventChannel {
    const { domain, backend, wake } = this.#options;
    return domain.events.allocate(backend, wake);
  }

  /**
   * Gives all back. Idempotent.
   *
   * @param isVoid after a resume: grants and channels are void
   */
  close(isVoid: boolean): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const queue of this.queues) queue.close(isVoid);
    for (const { pages, references } of this.#memory) {
      if (isVoid) pages.release();
      else this.#options.reclaimer.reclaim(pages, [...references]);
    }
  }
}
