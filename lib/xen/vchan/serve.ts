import type { Flow } from "@tesserae/device/flow";
import type { XenDomain } from "../domain.ts";
import type { EventChannel } from "../event-channel.ts";
import { type Access, pageSize, type SharedPages } from "../grant.ts";
import { Reclaimer } from "../reclaim.ts";
import { ByteRing } from "../byte-ring.ts";
import {
  chooseOrders,
  clientLive,
  clientNotify,
  firstReference,
  largestOrder,
  leftConsumer,
  leftOrder,
  leftProducer,
  live,
  notifyWritten,
  pageOrder,
  rightConsumer,
  rightOrder,
  rightProducer,
  serverLive,
} from "./layout.ts";
import { endpointOf, Vchan } from "./vchan.ts";

export interface VchanServerOptions {
  /** The domain that may connect. */
  readonly peer: number;
  /** Directory of xenstore in which the client looks: `data/vchan`, or absolute. It is ours to write, and is removed at the end. */
  readonly path: string;
  /** Bytes of the rings at least, from 1 to 2²⁰. Default 65,536 each. */
  readonly readSize?: number;
  readonly writeSize?: number;
  /** Milliseconds that closing waits for the peer to take what was written. Default 5,000. */
  readonly linger?: number;
}

/**
 * Offers a vchan to one domain, as libxenvchan's servers do. The flow may be written to before the client has come.
 *
 * Local and remote address are the numbers of the domains; ports are those of the event channel, and the reference of
 * the shared page.
 *
 * @throws RangeError (rejects) for a size out of range; XenError; XenstoreError.
 */
export async function serveVchan(domain: XenDomain, options: VchanServerOptions): Promise<Flow> {
  const { peer, path, readSize = 65_536, writeSize = 65_536, linger = 5_000 } = options;
  for (const size of [readSize, writeSize]) {
    if (!(size >= 1 && size <= 2 ** largestOrder)) throw new RangeError(`a ring of ${size} bytes`);
  }
  const reclaimer = new Reclaimer(domain);
  const shared: (readonly [SharedPages, number[]])[] = [];
  const share = (count: number, access: Access): readonly [SharedPages, number[]] => {
    const references: number[] = [];
    const entry = [domain.allocate(count), references] as const;
    shared.push(entry);
    for (let page = 0; page < count; page++) references.push(domain.grants.grant(entry[0], page, peer, access));
    return entry;
  };
  let isVoid = false;
  const reclaim = (): void => {
    for (const [pages, references] of shared) reclaimer.reclaim(pages, isVoid ? [] : references);
    reclaimer.close();
  };
  const [left, right] = chooseOrders(readSize, writeSize);
  let channel: EventChannel;
  let page: Uint8Array;
  let reference: number | undefined;
  let rings: readonly Uint8Array[];
  try {
    const [pages, [first]] = share(1, "read-write");
    page = pages.bytes;
    reference = first;
    const references: number[] = [];
    rings = [left, right].map((order, index) => {
      if (order < pageOrder) return page.subarray(2 ** order, 2 * 2 ** order);
      // The client only reads from the right one.
      const [own, given] = share(2 ** (order - pageOrder), index === 0 ? "read-write" : "read-only");
      references.push(...given);
      return own.bytes;
    });
    new Uint32Array(page.buffer, page.byteOffset, pageSize / 4).set(references, firstReference);
    channel = domain.events.allocate(peer, () => flow.signalled());
  } catch (error) {
    reclaim();
    throw error;
  }
  const orders = new Uint16Array(page.buffer, page.byteOffset, pageSize / 2);
  orders[leftOrder] = left;
  orders[rightOrder] = right;
  page[clientLive] = live.awaited;
  page[serverLive] = live.connected;
  page[clientNotify] = notifyWritten;
  const indices = new Int32Array(page.buffer, page.byteOffset, pageSize / 4);
  const endResume = domain.onResume(() => {
    isVoid = true;
    flow.lost();
  });
  const flow = new Vchan(
    {
      local: endpointOf(domain.id, channel.port),
      remote: endpointOf(peer, reference ?? 0),
      timers: domain.timers,
      isServer: true,
      page,
      input: new ByteRing(indices, leftConsumer, leftProducer, rings[0] ?? page),
      output: new ByteRing(indices, rightConsumer, rightProducer, rings[1] ?? page),
      linger,
      released: () => {
        endResume();
        if (!isVoid) channel.close();
        reclaim();
        // Nobody is to find it any more; without xenstore nobody can.
        domain.xenstore.remove(path).catch(() => undefined);
      },
    },
    channel,
  );
  try {
    await publish(domain, path, peer, reference ?? 0, channel.port);
  } catch (error) {
    flow.abort();
    throw error;
  }
  return flow;
}

async function publish(domain: XenDomain, path: string, peer: number, reference: number, port: number): Promise<void> {
  await domain.xenstore.transaction(async (nodes) => {
    for (const [name, value] of [
      ["ring-ref", reference],
      ["event-channel", port],
    ] as const) {
      await nodes.write(`${path}/${name}`, String(value));
      await nodes.setPermissions(`${path}/${name}`, [`n${domain.id}`, `r${peer}`]);
    }
  });
}
