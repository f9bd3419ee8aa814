import { headroom, needsChecksum, type Page } from "@tesserae/device/page";
import { SegmentedPacket } from "@tesserae/wire/segmented-packet";
import type { Link } from "../ip/link.ts";

const ethernetHeader = 14;

/** Cuts a packet of several segments whose next link has a device that does not. */
export class ForwardedSegments {
  /** How many the packet read last becomes. */
  count = 0;
  readonly #packet = new SegmentedPacket();

  /** @returns false when the packet cannot be cut. */
  read(page: Page, header: number, total: number): boolean {
    const isWhole = this.#packet.read(page.bytes, header, header + total);
    this.count = isWhole ? this.#packet.count(page.segmentSize) : 0;
    return this.count > 0;
  }

  /** Bytes of one of the packets. */
  lengthOf(page: Page, index: number): number {
    return this.#packet.lengthOf(index, page.segmentSize);
  }

  /** Writes one of the packets, with all checksums, to the beginning of `to`. */
  write(page: Page, index: number, to: Uint8Array): void {
    this.#packet.write(page.bytes, to, 0, index, page.segmentSize, false);
  }

  /**
   * One of the packets, at `headroom` of a page of `link`; `undefined` when it has none free.
   *
   * @param page the one that was read; only addresses, ports and what else NAT changes may be others since
   */
  build(page: Page, index: number, link: Link): Page | undefined {
    const out = link.allocate();
    if (out === undefined) return undefined;
    const packet = this.#packet;
    const leaveChecksum = link.ethernet.features.transmitChecksum;
    packet.write(page.bytes, out.bytes, headroom, index, page.segmentSize, leaveChecksum);
    if (leaveChecksum) {
      out.flags = needsChecksum;
      out.checksumStart = ethernetHeader + packet.ipHeader;
      out.checksumOffset = packet.checksumField;
    }
    return out;
  }
}
