import type { Netif } from "@tesserae/device/netif";
import { headroom } from "@tesserae/device/page";

/** The other end of a link, played by a test: sends frames written by hand and keeps what comes in. */
export class FramePeer {
  /** Copies of the frames received and not yet taken, oldest first. */
  readonly received: Uint8Array[] = [];
  readonly netif: Netif;

  /** Takes over the interface. */
  constructor(netif: Netif) {
    this.netif = netif;
    netif.listen((page, offset, length) => this.received.push(page.bytes.slice(offset, offset + length)));
  }

  /** @throws RangeError when the device refuses the frame. */
  send(frame: Uint8Array): void {
    const page = this.netif.allocate();
    if (page === undefined) throw new RangeError("no free page");
    page.bytes.set(frame, headroom);
    if (!this.netif.transmit(page, headroom, frame.length)) {
      throw new RangeError(`a frame of ${String(frame.length)} bytes was dropped`);
    }
  }

  /** What came since the last call. */
  take(): Uint8Array[] {
    return this.received.splice(0);
  }
}
