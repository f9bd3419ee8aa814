import { headroom, type Page } from "@tesserae/device/page";
import type { CountedEthernet } from "../ethernet/ethernet.ts";
import { copyBytes } from "@tesserae/wire/copy-bytes";

/** One network interface of a host, as IPv4 and IPv6 share it: its number, its name, and its pages. */
export class Link {
  /** From 1 in the order of declaration; what `IpPacket.interface` and `IpSendOptions.interface` say. */
  readonly index: number;
  /** For messages: `tap0`, `outside`. */
  readonly name: string;
  readonly ethernet: CountedEthernet;
  /** The largest packet, in bytes. */
  readonly mtu: number;

  /** @throws RangeError when `index` is not from 1 to {@link mostLinks}. */
  constructor(index: number, name: string, ethernet: CountedEthernet) {
    if (!Number.isInteger(index) || index < 1 || index > mostLinks) {
      throw new RangeError(`interface index ${index} is not from 1 to ${mostLinks}`);
    }
    this.index = index;
    this.name = name;
    this.ethernet = ethernet;
    this.mtu = ethernet.mtu;
  }

  /** As `Netif.allocate`, marked as this link's. */
  allocate(length?: number): Page | undefined {
    const page = this.ethernet.allocate(length);
    if (page !== undefined) page.link = this.index;
    return page;
  }
}

/** Interfaces of one stack at most. */
export const mostLinks = 64;

/** All links of a stack: gives pages back to where they came from, and moves packets between them. */
export class Links {
  readonly all: readonly Link[];

  /** @throws RangeError when there is none, or one is out of its place. */
  constructor(all: readonly Link[]) {
    if (all.length === 0) throw new RangeError("a stack needs an interface");
    all.forEach((link, place) => {
      if (link.index !== place + 1) throw new RangeError(`interface ${link.name} has index ${link.index}`);
    });
    this.all = all;
  }

  /** The link of that index; `undefined` when there is none. */
  get(index: number): Link | undefined {
    return this.all[index - 1];
  }

  /** Takes a page back unsent, whichever link it is of. */
  release(page: Page): void {
    const link = this.all[page.link - 1] ?? this.all[0];
    link?.ethernet.release(page);
  }

  /**
   * The page itself when it is of `link`; else a page of `link` with a copy of `page.bytes[offset … offset + length)`
   * at `headroom` and the same metadata, and `page` is released.
   *
   * @returns `undefined`, with `page` released, when `link` has no page free.
   */
  adopt(page: Page, offset: number, length: number, link: Link): Page | undefined {
    if (page.link === link.index) return page;
    const copy = link.allocate(length > link.mtu ? length : undefined);
    if (copy !== undefined) {
      copyBytes(page.bytes, offset, copy.bytes, headroom, length);
      copy.flags = page.flags;
      copy.checksumStart = page.checksumStart;
      copy.checksumOffset = page.checksumOffset;
      copy.segmentSize = page.segmentSize;
      copy.headerLength = page.headerLength;
    }
    this.release(page);
    return copy;
  }
}
