import type { OtherEnd } from "../bus/other-end.ts";
import type { XenDomain } from "../domain.ts";
import type { EventChannel } from "../event-channel.ts";
import type { CopyBatch, MappedPages, SharedPages } from "../grant.ts";
import { BackRing } from "../ring.ts";
import { BackQueue } from "./back-queue.ts";
import { ChannelPair } from "./channel-pair.ts";
import { BackReceiver } from "./back-receiver.ts";
import { BackSender } from "./back-sender.ts";
import { queuePath } from "./features.ts";
import type { FramePages } from "./frame-pages.ts";
import type { Reception } from "./front-receiver.ts";
import type { SendOffloads } from "./front-sender.ts";
import { receiveEntry, transmitEntry } from "./wire.ts";

/** Of a grant reference or a port. */
const mostNumber = 0xffff_ffff;

/** Where one pair of rings is, as the front end says. */
export interface QueueNodes {
  readonly transmitReference: number;
  readonly receiveReference: number;
  readonly transmitPort: number;
  /** The same where channels are not split. */
  readonly receivePort: number;
}

/**
 * Reads where the rings are.
 *
 * @param most queues that were offered
 * @throws XenError (rejects) `protocol` naming the node that is missing or makes no sense.
 */
export async function readQueues(front: OtherEnd, most: number): Promise<QueueNodes[]> {
  const count = await front.readInteger("multi-queue-num-queues", 1, most, 1);
  return Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const path = queuePath(index, count);
      const isSplit = (await front.read(`${path}event-channel-tx`)) !== undefined;
      const [transmitReference, receiveReference, transmitPort, receivePort] = await Promise.all([
        front.readInteger(`${path}tx-ring-ref`, 0, mostNumber),
        front.readInteger(`${path}rx-ring-ref`, 0, mostNumber),
        front.readInteger(`${path}${isSplit ? "event-channel-tx" : "event-channel"}`, 0, mostNumber),
        front.readInteger(`${path}${isSplit ? "event-channel-rx" : "event-channel"}`, 0, mostNumber),
      ]);
      return { transmitReference, receiveReference, transmitPort, receivePort };
    }),
  );
}

export interface BackRingsOptions {
  readonly domain: Pick<XenDomain, "foreign" | "events">;
  /** The domain of the front end. */
  readonly frontend: number;
  readonly queues: readonly QueueNodes[];
  readonly pages: FramePages;
  readonly offloads: SendOffloads;
  readonly reception: Reception;
  readonly wake: () => void;
  readonly receiveBatch: CopyBatch;
  readonly sendBatch: CopyBatch;
  readonly landing: SharedPages;
}

/**
 * Maps a front end's rings and binds to its channels.
 *
 * @throws XenError `bad-grant`, `bad-channel`, `exhausted`, `no-domain`: nothing stays taken then.
 */
export function openBackRings(options: BackRingsOptions): BackQueue[] {
  const opened: BackQueue[] = [];
  try {
    for (const nodes of options.queues) opened.push(open(options, nodes));
  } catch (error) {
    for (const queue of opened) queue.close(false);
    throw error;
  }
  return opened;
}

function open(options: BackRingsOptions, nodes: QueueNodes): BackQueue {
  const { domain, frontend, pages, offloads, reception, wake, receiveBatch, sendBatch, landing } = options;
  const mapped: MappedPages[] = [];
  const channels: EventChannel[] = [];
  const unmap = (): void => {
    for (const each of mapped) each.unmap();
  };
  try {
    const map = (reference: number): Uint8Array => {
      const memory = domain.foreign.map(frontend, [reference], "read-write");
      mapped.push(memory);
      return memory.bytes;
    };
    const transmitRing = new BackRing(map(nodes.transmitReference), transmitEntry);
    const receiveRing = new BackRing(map(nodes.receiveReference), receiveEntry);
    const bind = (port: number): EventChannel => {
      const channel = domain.events.bind(frontend, port, wake);
      channels.push(channel);
      return channel;
    };
    const transmitChannel = bind(nodes.transmitPort);
    const isSplit = nodes.receivePort !== nodes.transmitPort;
    const receiveChannel = isSplit ? bind(nodes.receivePort) : transmitChannel;
    const receiver = new BackReceiver(transmitRing, frontend, receiveBatch, landing, reception);
    const sender = new BackSender(receiveRing, frontend, sendBatch, pages, offloads);
    return new BackQueue(sender, receiver, new ChannelPair(transmitChannel, receiveChannel), unmap);
  } catch (error) {
    for (const channel of channels) channel.close();
    unmap();
    throw error;
  }
}
