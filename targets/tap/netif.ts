import { closeSync } from "node:fs";
import { MacAddress } from "@tesserae/device/address";
import type { Netif } from "@tesserae/device/netif";
import type { SystemCalls } from "@tesserae/node/native/system-calls";
import { inheritedTap, isMacvtap, openMacvtap, type OpenTap } from "./handed-down.ts";
import { checkComplete, loadLibc } from "./libc.ts";
import { RingNetif } from "./ring-netif.ts";
import { prepareInterface, setupAdvice, type TapSetup } from "./setup.ts";
import type { FrameRing } from "./frame-ring.ts";
import { TapBatch } from "./tap-batch.ts";
import { TapUring } from "./tap-uring.ts";
import { type OpenedTap, openTap, TapError } from "./tun.ts";

export interface TapOptions extends TapSetup {
  /**
   * A tap device that is open: opened with O_NONBLOCK, IFF_TAP and IFF_NO_PI, in the network namespace that
   * `/sys/class/net` shows; `name` is only for messages then. It is closed with the interface, and everything else of
   * the kernel's side is left as it is. With IFF_VNET_HDR the header has its usual 10 bytes, and `offload` is on.
   */
  readonly fd?: number;
  /** Our address on the link; default: derived from the kernel's, so that it is the same for a device that stays. */
  readonly mac?: MacAddress;
  /**
   * Lets the kernel hand over TCP segments of up to 64 KiB in one frame, longer than the MTU, several UDP datagrams in
   * one frame (Linux 6.2), and leave out checksums that nothing on the way can have damaged, and take such frames:
   * `Page.segmentSize` and `needsChecksum` tell. Far faster for bulk; to be turned off where every frame must be as on a
   * wire, for a capture or with faults. Default true.
   */
  readonly offload?: boolean;
  /** Whether frames go through io_uring where the kernel has one that suits (Linux 6.7, unless it is forbidden). Default true. */
  readonly uring?: boolean;
  /** Pages to build frames in, at least 1. Default 256. */
  readonly pages?: number;
  /** Gets a failure after which no frame comes any more: the device was deleted. Default: a line on stderr. */
  readonly onDead?: (error: TapError) => void;
}

/**
 * Opens a Linux tap device as a {@link Netif}, and sets its kernel side up as far as that is needed and allowed; or a
 * macvtap interface, which is taken as it is.
 *
 * @throws UnsupportedError (rejects) on another system, and when there is no way to call the kernel and the device is
 * neither handed down nor a macvtap; TapError with the
 * commands that would help when a privilege is missing; RangeError for a bad name or MTU.
 */
export async function createTap(options: TapOptions): Promise<Netif> {
  const { calls, notice } = await loadLibc();
  if (options.fd === undefined && !isMacvtap(options.name)) checkComplete(calls, notice);
  return openNetif(calls, options);
}

/** {@link createTap} in the network namespace that the thread is in now: nothing is awaited. */
export function openNetif(calls: SystemCalls, options: TapOptions): Netif {
  if (options.fd !== undefined) return netifOnOpen(calls, inheritedTap(options.fd), options);
  if (isMacvtap(options.name)) return netifOnOpen(calls, openMacvtap(options.name), options);
  return netifOnQueue(calls, openQueues(calls, options), 0, options);
}

/** A device whose kernel's side is as it is. */
function netifOnOpen(calls: SystemCalls, open: OpenTap, options: TapOptions): Netif {
  const { fd, name, mtu, hasHeader } = open;
  const mac = options.mac ?? (open.isMacvtap ? open.mac : peerOf(open.mac));
  // Whether this kernel cuts UDP was not asked for, and cannot be asked without a request.
  return netifOn(calls, fd, mac, mtu, { ...options, name, offload: hasHeader }, false);
}

/** The queues of a tap device that is open; plain data, which goes from thread to thread. */
export interface TapQueues {
  /** One for each queue, non-blocking. */
  readonly descriptors: readonly number[];
  /** Our address on the link. */
  readonly mac: string;
  readonly mtu: number;
  /** See `NetifFeatures`. */
  readonly segmentsUdp: boolean;
}

/** Opens `options.queues` queues, and sets the kernel's side up. @throws as {@link createTap} */
export function openQueues(calls: SystemCalls, options: TapOptions): TapQueues {
  const descriptors: number[] = [];
  let segmentsUdp = true;
  try {
    for (let queue = 0; queue < (options.queues ?? 1); queue++) {
      const opened = openOrAdvise(calls, options);
      descriptors.push(opened.fd);
      segmentsUdp &&= opened.segmentsUdp;
    }
    const { mac, mtu } = prepareInterface(calls, options);
    return { descriptors, mac: (options.mac ?? peerOf(mac)).toString(), mtu, segmentsUdp };
  } catch (error) {
    for (const fd of descriptors) closeSync(fd);
    throw error;
  }
}

/** A queue of a tap device as a {@link Netif}. Takes over its descriptor. @throws UnsupportedError */
export function netifOnQueue(calls: SystemCalls, opened: TapQueues, queue: number, options: TapOptions): Netif {
  const { descriptors, mac, mtu, segmentsUdp } = opened;
  return netifOn(calls, descriptors[queue] ?? -1, MacAddress.parse(mac), mtu, options, segmentsUdp);
}

function netifOn(
  calls: SystemCalls,
  fd: number,
  mac: MacAddress,
  mtu: number,
  options: TapOptions,
  segmentsUdp: boolean,
): Netif {
  const { name, offload = true, pages = 256, onDead } = options;
  let ring: FrameRing;
  try {
    const uring = options.uring === false ? -1 : TapUring.open(calls, fd, mtu, offload, pages);
    ring = typeof uring === "number" ? new TapBatch(calls, fd, mtu, offload, pages) : uring;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return new RingNetif(calls, ring, { name, mac, mtu, segmentsUdp, ...(onDead === undefined ? {} : { onDead }) });
}

function openOrAdvise(calls: SystemCalls, options: TapOptions): OpenedTap {
  try {
    return openTap(calls, options.name, options.offload ?? true, (options.queues ?? 1) > 1);
  } catch (error) {
    if (!(error instanceof TapError) || error.code !== "EPERM") throw error;
    throw new TapError(error.code, `${error.message}\n${setupAdvice(options)}`, { cause: error });
  }
}

/** An address that is not the kernel's own but follows from it: locally administered, for one host. */
function peerOf(mac: MacAddress): MacAddress {
  return new MacAddress((mac.high & 0xfcff) | 0x0200, mac.low ^ 0x0100_0001);
}
