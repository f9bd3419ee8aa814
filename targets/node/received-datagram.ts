import { IpAddress } from "@tesserae/device/address";
import type { Datagram } from "@tesserae/device/udp";

/** A datagram from a socket of the kernel's; one object for all of a socket's. */
export class ReceivedDatagram implements Datagram {
  bytes: Uint8Array = new Uint8Array(0);
  offset = 0;
  length = 0;
  source: IpAddress = IpAddress.any4;
  sourcePort = 0;
  readonly destination: IpAddress;
  readonly interface = 0;

  constructor(destination: IpAddress) {
    this.destination = destination;
  }
}
