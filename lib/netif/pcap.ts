import type { Clock } from "@tesserae/device/clock";
import type { FrameHandler, Netif, NetifFeatures } from "@tesserae/device/netif";
import { needsChecksum, type Page } from "@tesserae/device/page";
import { completeChecksum } from "@tesserae/wire/complete-checksum";
import { NetifMiddleware } from "./middleware.ts";
import { noFeatures } from "./port.ts";

/** Takes captured frames. The bytes are lent until the call returns. `PcapngWriter` of `@tesserae/wire/pcapng-writer` is one. */
export interface PacketSink {
  /** @param timeMs wall-clock milliseconds since 1970, with fractions */
  writePacket(interfaceId: number, timeMs: number, bytes: Uint8Array, offset: number, length: number): void;
}

export interface PcapOptions {
  readonly sink: PacketSink;
  /** The sink's number of this interface. */
  readonly interfaceId: number;
  readonly clock: Clock;
}

/**
 * Copies every frame that is sent, accepted by the device or not, and every frame received, to a packet sink.
 *
 * Offloads are hidden from the sender and undone for the sink, so that every captured frame is as on a wire.
 */
export function pcap(inner: Netif, options: PcapOptions): Netif {
  return new CapturedNetif(inner, options);
}

class CapturedNetif extends NetifMiddleware {
  readonly #sink: PacketSink;
  readonly #interfaceId: number;
  readonly #clock: Clock;
  readonly #wallAtZero: number;
  #scratch = new Uint8Array(2048);

  constructor(inner: Netif, { sink, interfaceId, clock }: PcapOptions) {
    super(inner);
    this.#sink = sink;
    this.#interfaceId = interfaceId;
    this.#clock = clock;
    // One offset for all: time stamps that never go back, and as fine as the clock is.
    this.#wallAtZero = clock.wall() - clock.now();
  }

  override get features(): NetifFeatures {
    return noFeatures;
  }

  override listen(handler: FrameHandler): void {
    this.inner.listen((page, offset, length) => {
      this.#capture(page, offset, length);
      handler(page, offset, length);
    });
  }

  override transmit(page: Page, offset: number, length: number): boolean {
    this.#capture(page, offset, length);
    return this.inner.transmit(page, offset, length);
  }

  #capture(page: Page, offset: number, length: number): void {
    if (length < 14 || offset + length > page.bytes.length) return;
    const time = this.#wallAtZero + this.#clock.now();
    if ((page.flags & needsChecksum) === 0) {
      this.#sink.writePacket(this.#interfaceId, time, page.bytes, offset, length);
      return;
    }
    if (length > this.#scratch.length) this.#scratch = new Uint8Array(length);
    const scratch = this.#scratch;
    scratch.set(page.bytes.subarray(offset, offset + length));
    completeChecksum(scratch, 0, length, page.checksumStart, page.checksumOffset);
    this.#sink.writePacket(this.#interfaceId, time, scratch, 0, length);
  }
}
