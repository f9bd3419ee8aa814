import type { Netif, NetifQueue } from "@tesserae/device/netif";
import type { Instance } from "@tesserae/node/instance";
import type { SystemCalls } from "@tesserae/node/native/system-calls";
import { closeHandover, createHandover, type SharedHandover } from "./handover.ts";
import { netifOnQueue, openQueues, type TapOptions, type TapQueues } from "./netif.ts";
import { QueueNetif } from "./queue-netif.ts";
import { SocketMap } from "./xdp/redirect-program.ts";
import { attachXdp, createXdp } from "./xdp/netif.ts";

/** What all instances need of a device with a queue for each: plain data, which goes from thread to thread. */
export interface SharedQueues {
  readonly device: TapQueues | { readonly sockets: number };
  readonly handover: SharedHandover;
  /** See `NetifQueue`. */
  readonly secret: Uint8Array;
}

/** The device as the first instance has it. */
export interface OpenQueues {
  readonly shared: SharedQueues;
  /** Frees it, once every instance has closed its own queue. */
  readonly close: () => void;
}

/** Which device, as a tap device or taken over from the kernel. */
export type QueuedDevice =
  { readonly kind: "tap"; readonly options: TapOptions } | { readonly kind: "xdp"; readonly name: string };

/**
 * Opens a device for so many instances, each with a queue.
 *
 * @param secret 16 bytes, drawn at random
 * @throws TapError; RangeError
 */
export function openShared(calls: SystemCalls, device: QueuedDevice, count: number, secret: Uint8Array): OpenQueues {
  const handover = createHandover(calls, count);
  try {
    if (device.kind === "tap") {
      const queues = openQueues(calls, { ...device.options, queues: count });
      return { shared: { device: queues, handover, secret }, close: () => closeHandover(handover) };
    }
    const program = attachXdp(calls, device.name, count);
    const close = (): void => {
      program.close();
      closeHandover(handover);
    };
    return { shared: { device: { sockets: program.sockets.fd }, handover, secret }, close };
  } catch (error) {
    closeHandover(handover);
    throw error;
  }
}

/** An instance's own queue: the interface itself, and as its stack is to see it. */
export async function joinQueues(
  calls: SystemCalls,
  device: QueuedDevice,
  shared: SharedQueues,
  { index, count }: Instance,
): Promise<{ readonly inner: Netif; readonly netif: QueueNetif }> {
  const queue: NetifQueue = { index, count, secret: shared.secret };
  const inner = await ownQueue(calls, device, shared.device, index);
  try {
    return { inner, netif: new QueueNetif(inner, queue, calls, shared.handover) };
  } catch (error) {
    await inner.close();
    throw error;
  }
}

async function ownQueue(
  calls: SystemCalls,
  device: QueuedDevice,
  opened: SharedQueues["device"],
  index: number,
): Promise<Netif> {
  if (device.kind === "tap" && "descriptors" in opened) {
    return netifOnQueue(calls, opened, index, device.options);
  }
  if (device.kind === "xdp" && "sockets" in opened) {
    const { name } = device;
    return await createXdp({ name, queue: index, sockets: new SocketMap(calls, name, opened.sockets) });
  }
  throw new TypeError("the instances of an image disagree about its device");
}
