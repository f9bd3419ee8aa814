import type { Flow } from "@tesserae/device/flow";
import { OtherEnd } from "../bus/other-end.ts";
import type { XenDomain } from "../domain.ts";
import type { EventChannel } from "../event-channel.ts";
import { type Access, type MappedPages, pageSize } from "../grant.ts";
import { XenError } from "../xen-error.ts";
import { ByteRing } from "../byte-ring.ts";
import {
  areOrders,
  clientLive,
  firstReference,
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
  serverNotify,
} from "./layout.ts";
import { endpointOf, Vchan } from "./vchan.ts";

export interface VchanClientOptions {
  /** The domain of the server. */
  readonly peer: number;
  /** Directory of xenstore in which the server has published, absolute. */
  readonly path: string;
  /** Milliseconds that the server may take to publish. Default 10,000. */
  readonly timeout?: number;
  readonly linger?: number;
}

/**
 * Connects to a vchan that another domain offers, as soon as it does. An offer that has had a client, or whose memory is
 * gone, is of a connection before: another one is waited for.
 *
 * @throws XenError (rejects): `timeout` when it does not offer one in time, `protocol` when what it offers makes no
 * sense, `bad-grant` and `bad-channel` when it still cannot be had after that time, `exhausted`; XenstoreError.
 */
export async function connectVchan(domain: XenDomain, options: VchanClientOptions): Promise<Flow> {
  const { peer, path, timeout = 10_000 } = options;
  const server = new OtherEnd(domain.xenstore, peer, path);
  let refusal = new XenError("timeout", `${path}: no vchan is offered after ${timeout} ms`);
  const attempt = async (): Promise<Flow | undefined> => {
    // Where one of the two is, the other was written with it; numbers of two offers are found out below.
    if ((await server.read("event-channel")) === undefined) return undefined;
    const reference = await server.readInteger("ring-ref", 1, 0xffff_ffff, 0);
    const port = await server.readInteger("event-channel", 1, 0xffff_ffff, 0);
    if (reference === 0 || port === 0) return undefined;
    try {
      const flow = attach(domain, options, reference, port);
      if (flow === undefined) refusal = new XenError("timeout", `${path}: the vchan is taken after ${timeout} ms`);
      return flow;
    } catch (error) {
      if (!(error instanceof XenError && (error.kind === "bad-grant" || error.kind === "bad-channel"))) throw error;
      refusal = error;
      return undefined;
    }
  };
  return (await attempt()) ?? (await keepTrying(domain, server.path, timeout, attempt, () => refusal));
}

/** What is on offer, unless it is not for us. @throws XenError */
function attach(domain: XenDomain, options: VchanClientOptions, reference: number, port: number): Flow | undefined {
  const { peer, path, linger = 5_000 } = options;
  const mapped: MappedPages[] = [];
  const map = (references: readonly number[], access: Access): Uint8Array => {
    const pages = domain.foreign.map(peer, references, access);
    mapped.push(pages);
    return pages.bytes;
  };
  let channel: EventChannel | undefined;
  try {
    const page = map([reference], "read-write");
    if (Atomics.load(page, serverLive) === live.gone || Atomics.load(page, clientLive) !== live.awaited) {
      for (const pages of mapped) pages.unmap();
      return undefined;
    }
    const orders = new Uint16Array(page.buffer, page.byteOffset, pageSize / 2);
    const left = orders[leftOrder] ?? 0;
    const right = orders[rightOrder] ?? 0;
    if (!areOrders(left, right)) {
      throw new XenError("protocol", `${path}: rings of order ${left} and ${right} cannot be`);
    }
    const words = new Uint32Array(page.buffer, page.byteOffset, pageSize / 4);
    let next = firstReference;
    const ring = (order: number, access: Access): Uint8Array => {
      if (order < pageOrder) return page.subarray(2 ** order, 2 * 2 ** order);
      const count = 2 ** (order - pageOrder);
      const references = words.slice(next, next + count);
      next += count;
      return map([...references], access);
    };
    const output = ring(left, "read-write");
    const input = ring(right, "read-only");
    channel = domain.events.bind(peer, port, () => flow.signalled());
    const bound = channel;
    const indices = new Int32Array(page.buffer, page.byteOffset, pageSize / 4);
    let isVoid = false;
    const endResume = domain.onResume(() => {
      isVoid = true;
      flow.lost();
    });
    const flow = new Vchan(
      {
        local: endpointOf(domain.id, reference),
        remote: endpointOf(peer, port),
        timers: domain.timers,
        isServer: false,
        page,
        input: new ByteRing(indices, rightConsumer, rightProducer, input),
        output: new ByteRing(indices, leftConsumer, leftProducer, output),
        linger,
        released: () => {
          endResume();
          if (isVoid) return;
          bound.close();
          for (const pages of mapped) pages.unmap();
        },
      },
      bound,
    );
    Atomics.store(page, clientLive, live.connected);
    Atomics.or(page, serverNotify, notifyWritten);
    bound.notify();
    return flow;
  } catch (error) {
    channel?.close();
    for (const pages of mapped) pages.unmap();
    throw error;
  }
}

/** Attempts whenever something at the path has changed, one after the other. */
async function keepTrying(
  domain: XenDomain,
  path: string,
  timeout: number,
  attempt: () => Promise<Flow | undefined>,
  refusal: () => XenError,
): Promise<Flow> {
  let end: () => Promise<void> = () => Promise.resolve();
  let isOver = false;
  let isTrying = false;
  let again = false;
  try {
    return await new Promise<Flow>((resolve, reject) => {
      const timer = domain.timers.timer(() => {
        isOver = true;
        reject(refusal());
      });
      timer.set(domain.timers.now() + timeout);
      const look = async (): Promise<void> => {
        isTrying = true;
        while (again) {
          again = false;
          const flow = await attempt();
          if (flow === undefined) continue;
          if (isOver) flow.abort();
          isOver = true;
          again = false;
          timer.cancel();
          resolve(flow);
        }
        isTrying = false;
      };
      const fail = (error: unknown): void => {
        isOver = true;
        timer.cancel();
        reject(error instanceof Error ? error : new Error(String(error)));
      };
      domain.xenstore
        .watch(path, () => {
          if (isOver) return;
          again = true;
          if (!isTrying) look().catch(fail);
        })
        .then((unwatch) => {
          end = unwatch;
        }, fail);
    });
  } finally {
    await end().catch(() => undefined);
  }
}
