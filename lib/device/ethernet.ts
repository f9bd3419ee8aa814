import type { MacAddress } from "./address.ts";
import type { Page } from "./page.ts";

/**
 * Takes the payload of one received Ethernet frame. Lent as in `FrameHandler`.
 *
 * `frameOffset` is where the Ethernet header starts in the page; the source address is at `frameOffset + 6`.
 */
export type EthernetHandler = (page: Page, offset: number, length: number, frameOffset: number) => void;

/** Ethernet II over a Netif: frames in and out by EtherType. */
export interface Ethernet {
  readonly mac: MacAddress;
  /** The largest payload, in bytes. */
  readonly mtu: number;

  /**
   * Sets the handler of one EtherType, replacing the one before.
   *
   * @throws RangeError when `etherType` is not an integer from 0x0600 to 0xffff.
   */
  listen(etherType: number, handler: EthernetHandler): void;

  /** A page for {@link Ethernet.send}; see `Netif.allocate`. */
  allocate(length?: number): Page | undefined;

  /**
   * Writes the 14-byte header in front of `offset` and sends. Takes the page, whatever the outcome.
   *
   * @returns false when the device dropped it at once.
   */
  send(destination: MacAddress, etherType: number, page: Page, offset: number, length: number): boolean;

  /** Takes a page back unsent. */
  release(page: Page): void;
}
