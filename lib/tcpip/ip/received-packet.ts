import { IpAddress } from "@tesserae/device/address";
import type { IpPacket } from "@tesserae/device/ip";
import type { Page } from "@tesserae/device/page";

/** The one object in which a network layer hands its packets up: of one class for IPv4 and IPv6, so that a call is too. */
export class ReceivedPacket implements IpPacket {
  page: Page;
  offset = 0;
  length = 0;
  source: IpAddress = IpAddress.any4;
  destination: IpAddress = IpAddress.any4;
  protocol = 0;
  hopLimit = 0;
  ecn = 0;
  headerOffset = 0;
  interface = 0;

  constructor(page: Page) {
    this.page = page;
  }
}
