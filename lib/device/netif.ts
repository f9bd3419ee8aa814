import type { MacAddress } from "./address.ts";
import type { Page } from "./page.ts";

/**
 * Takes one received frame: `page.bytes[offset … offset + length)`, from the destination MAC address to the end of the
 * payload, without preamble and frame check sequence.
 *
 * The page is lent until the handler returns; what is to be kept is copied. The handler may write into it. It must
 * not throw.
 */
export type FrameHandler = (page: Page, offset: number, length: number) => void;

/** Counters since the interface was opened. */
export interface NetifStatistics {
  readonly receivedFrames: number;
  readonly receivedBytes: number;
  readonly sentFrames: number;
  readonly sentBytes: number;
  /** Frames given up for want of a page, a place in a queue, or by the device. */
  readonly droppedFrames: number;
}

/** What the device does for the stack. Absent offloads cost nothing: the stack does the work itself. */
export interface NetifFeatures {
  /** The device completes a transport checksum marked with `needsChecksum`. */
  readonly transmitChecksum: boolean;
  /** The largest TCP payload, in bytes, that the device cuts into segments (`Page.segmentSize`); 0 is none. */
  readonly maxSegmentation: number;
  /** Whether it does so for TCP over IPv6, too. Default false: over IPv4 only. */
  readonly segmentsIpv6?: boolean;
  /**
   * Whether it cuts UDP payload into datagrams, too, over the versions of IP that it cuts TCP over; it completes their
   * checksums then. Default false: a frame with several datagrams must not be given to it.
   */
  readonly segmentsUdp?: boolean;
}

/** Whether a device cuts a long frame of UDP, or else of TCP, over IPv6, or else over IPv4. */
export function cuts(features: NetifFeatures, isUdp: boolean, isIpv6: boolean): boolean {
  return (
    features.maxSegmentation > 0 &&
    (!isIpv6 || features.segmentsIpv6 === true) &&
    (!isUdp || features.segmentsUdp === true)
  );
}

/**
 * Which one of an interface's queues a Netif is, where there are several, each with a stack of its own and all with the
 * same addresses. Flows that peers open stay on one queue. What is opened from here takes a local port of 49,152 or more
 * that gives `index` when divided by `count`: what is sent to such a port comes to this queue.
 */
export interface NetifQueue {
  /** From 0, below `count`. */
  readonly index: number;
  readonly count: number;
  /** 16 bytes that all queues' stacks have in common: addresses that they make up follow from it. */
  readonly secret: Uint8Array;
}

/**
 * A network interface: something that carries Ethernet frames.
 *
 * A Netif never delivers a frame from inside `transmit` or `listen`. Frames are delivered in the order the device had
 * them, and only after `listen`; until then they are dropped or queued up to a bound.
 */
export interface Netif {
  /** For messages: `tap0`, `eth0`. */
  readonly name: string;
  readonly mac: MacAddress;
  /** The largest payload of a frame, in bytes, without its 14-byte Ethernet header: 576 to 65,535. */
  readonly mtu: number;
  readonly features: NetifFeatures;
  readonly statistics: NetifStatistics;
  /** Absent where it is all of the interface. */
  readonly queue?: NetifQueue | undefined;

  /** Sets the handler of received frames, replacing the one before. */
  listen(handler: FrameHandler): void;

  /**
   * A page to build a frame in, with at least `headroom` + `length` bytes, or `undefined` when the device has none free:
   * the caller drops or retries later. Every page taken is given back by `transmit` or `release`.
   *
   * @param length without the Ethernet header; default: the MTU. More than that only where the device cuts segments:
   * up to `features.maxSegmentation` and 80 bytes of headers.
   */
  allocate(length?: number): Page | undefined;

  /**
   * Sends `page.bytes[offset … offset + length)` and takes the page back, whatever the outcome.
   *
   * @returns false when the frame was dropped at once (no room, closed, or longer than `mtu` + 14 without being one that
   * the device is to cut).
   */
  transmit(page: Page, offset: number, length: number): boolean;

  /** Takes a page back unsent. */
  release(page: Page): void;

  /** Stops delivery and frees the device. Idempotent. */
  close(): Promise<void>;
}
