import type { MacAddress } from "@tesserae/device/address";
import type { FrameHandler, Netif, NetifFeatures, NetifQueue, NetifStatistics } from "@tesserae/device/netif";
import type { Page } from "@tesserae/device/page";

/** A Netif that passes everything on to another; middleware overrides what it changes. */
export class NetifMiddleware implements Netif {
  protected readonly inner: Netif;

  constructor(inner: Netif) {
    this.inner = inner;
  }

  get name(): string {
    return this.inner.name;
  }

  get mac(): MacAddress {
    return this.inner.mac;
  }

  get mtu(): number {
    return this.inner.mtu;
  }

  get features(): NetifFeatures {
    return this.inner.features;
  }

  get statistics(): NetifStatistics {
    return this.inner.statistics;
  }

  get queue(): NetifQueue | undefined {
    return this.inner.queue;
  }

  listen(handler: FrameHandler): void {
    this.inner.listen(handler);
  }

  allocate(length?: number): Page | undefined {
    return this.inner.allocate(length);
  }

  transmit(page: Page, offset: number, length: number): boolean {
    return this.inner.transmit(page, offset, length);
  }

  release(page: Page): void {
    this.inner.release(page);
  }

  close(): Promise<void> {
    return this.inner.close();
  }
}
