import type { Counter, Metrics } from "@tesserae/device/metrics";
import type { FrameHandler, Netif } from "@tesserae/device/netif";
import type { Page } from "@tesserae/device/page";
import { NetifMiddleware } from "./middleware.ts";

/**
 * Counts frames and bytes of an interface: `netif_sent_frames`, `netif_sent_bytes`, `netif_received_frames`,
 * `netif_received_bytes`, `netif_refused_frames` (dropped by `transmit` at once) and `netif_page_shortages`, each with
 * the label `netif`.
 */
export function measured(inner: Netif, metrics: Metrics): Netif {
  return new MeasuredNetif(inner, metrics);
}

class MeasuredNetif extends NetifMiddleware {
  readonly #sentFrames: Counter;
  readonly #sentBytes: Counter;
  readonly #receivedFrames: Counter;
  readonly #receivedBytes: Counter;
  readonly #refusedFrames: Counter;
  readonly #pageShortages: Counter;

  constructor(inner: Netif, metrics: Metrics) {
    super(inner);
    const labels = { netif: inner.name };
    this.#sentFrames = metrics.counter("netif_sent_frames", labels);
    this.#sentBytes = metrics.counter("netif_sent_bytes", labels);
    this.#receivedFrames = metrics.counter("netif_received_frames", labels);
    this.#receivedBytes = metrics.counter("netif_received_bytes", labels);
    this.#refusedFrames = metrics.counter("netif_refused_frames", labels);
    this.#pageShortages = metrics.counter("netif_page_shortages", labels);
  }

  override listen(handler: FrameHandler): void {
    this.inner.listen((page, offset, length) => {
      this.#receivedFrames.add(1);
      this.#receivedBytes.add(length);
      handler(page, offset, length);
    });
  }

  override allocate(length?: number): Page | undefined {
    const page = this.inner.allocate(length);
    if (page === undefined) this.#pageShortages.add(1);
    return page;
  }

  override transmit(page: Page, offset: number, length: number): boolean {
    const sent = this.inner.transmit(page, offset, length);
    if (sent) {
      this.#sentFrames.add(1);
      this.#sentBytes.add(length);
    } else this.#refusedFrames.add(1);
    return sent;
  }
}
