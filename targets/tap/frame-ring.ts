import type { FrameHandler } from "@tesserae/device/netif";
import type { Page } from "@tesserae/device/page";

/** Bytes of an Ethernet header. */
export const ethernetHeader = 14;
/** The longest frame with several segments, in bytes: an IP packet cannot be longer. */
export const longestSegmented = ethernetHeader + 65_535;
/** TCP payload in one frame for the kernel to cut: with the longest headers, still an IP packet. */
export const longestPayload = 65_535 - 80;

/** Counters of a ring; see `NetifStatistics`. */
export class RingCounters {
  receivedFrames = 0;
  receivedBytes = 0;
  sentFrames = 0;
  sentBytes = 0;
  droppedFrames = 0;
}

/**
 * The way to one device that frames come and go by in batches: what differs between tap devices and AF_XDP. Everything
 * else of a network interface is `ring-netif.ts`.
 */
export interface FrameRing {
  /** How, in a few words: `io_uring`. */
  readonly how: string;
  /** Becomes readable when there are frames. */
  readonly fd: number;
  readonly transmitChecksum: boolean;
  /** See `NetifFeatures`. */
  readonly maxSegmentation: number;
  /** The longest frame that is sent as it is, in bytes. */
  readonly longestFrame: number;
  readonly counters: RingCounters;

  /**
   * Hands on at most `most` frames, in place; without a handler they are dropped.
   *
   * @returns how many there were, or −errno
   */
  receive(handler: FrameHandler | undefined, most: number): number;

  /** After a wake-up without a frame: 0, or −errno when the device has failed. */
  fault(): number;

  /** A page to build a frame in, unless all are out. @param long for a frame that the device is to cut */
  take(long: boolean): Page | undefined;

  /** Takes a page back unsent. */
  release(page: Page): void;

  /** Takes a frame, with its page, to go out with the next {@link FrameRing.flush} at the latest. */
  send(page: Page, offset: number, length: number): void;

  /** Hands over what was sent since the last time. */
  flush(): void;

  /** Frees the device. */
  close(): void;
}
