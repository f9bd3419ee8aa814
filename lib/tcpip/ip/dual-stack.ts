import type { IpAddress } from "@tesserae/device/address";
import type { IpError, IpHandler, IpPacket, IpSendOptions } from "@tesserae/device/ip";
import type { Page } from "@tesserae/device/page";
import type { Undeliverable } from "../ipv4/input.ts";
import type { Ipv4 } from "../ipv4/ipv4.ts";
import type { Ipv6 } from "../ipv6/ipv6.ts";
import type { HostIp } from "./host-ip.ts";

/**
 * IPv4 and IPv6 as one network layer: each call goes to the family of its address, and packets of both come to the same
 * handlers. Their interfaces are the same, and so are their indices.
 */
export function createDualStack(ipv4: Ipv4, ipv6: Ipv6): HostIp {
  return new DualStack(ipv4, ipv6);
}

class DualStack implements HostIp {
  readonly #ipv4: Ipv4;
  readonly #ipv6: Ipv6;

  constructor(ipv4: Ipv4, ipv6: Ipv6) {
    this.#ipv4 = ipv4;
    this.#ipv6 = ipv6;
  }

  get addresses(): readonly IpAddress[] {
    return [...this.#ipv4.addresses, ...this.#ipv6.addresses];
  }

  isLocal(address: IpAddress): boolean {
    return address.family === 4 ? this.#ipv4.isLocal(address) : this.#ipv6.isLocal(address);
  }

  source(destination: IpAddress, index?: number): IpAddress | undefined {
    return destination.family === 4 ? this.#ipv4.source(destination, index) : this.#ipv6.source(destination, index);
  }

  mtu(destination: IpAddress): number {
    return destination.family === 4 ? this.#ipv4.mtu(destination) : this.#ipv6.mtu(destination);
  }

  listen(protocol: number, handler: IpHandler): void {
    this.#ipv4.listen(protocol, handler);
    this.#ipv6.listen(protocol, handler);
  }

  listenErrors(protocol: number, handler: (error: IpError) => void): void {
    this.#ipv4.listenErrors(protocol, handler);
    this.#ipv6.listenErrors(protocol, handler);
  }

  segmentation(destination: IpAddress): number {
    return destination.family === 4 ? this.#ipv4.segmentation(destination) : this.#ipv6.segmentation(destination);
  }

  completesChecksum(destination: IpAddress): boolean {
    return destination.family === 4
      ? this.#ipv4.completesChecksum(destination)
      : this.#ipv6.completesChecksum(destination);
  }

  datagramSegmentation(destination: IpAddress, options: IpSendOptions): number {
    return destination.family === 4
      ? this.#ipv4.datagramSegmentation(destination, options)
      : this.#ipv6.datagramSegmentation(destination, options);
  }

  allocate(length?: number, destination?: IpAddress): Page | undefined {
    return destination?.family === 6
      ? this.#ipv6.allocate(length, destination)
      : this.#ipv4.allocate(length, destination);
  }

  release(page: Page): void {
    this.#ipv4.release(page);
  }

  send(
    destination: IpAddress,
    protocol: number,
    page: Page,
    offset: number,
    length: number,
    options?: IpSendOptions,
  ): boolean {
    return destination.family === 4
      ? this.#ipv4.send(destination, protocol, page, offset, length, options)
      : this.#ipv6.send(destination, protocol, page, offset, length, options);
  }

  sendBytes(
    destination: IpAddress,
    protocol: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
    options?: IpSendOptions,
  ): boolean {
    return destination.family === 4
      ? this.#ipv4.sendBytes(destination, protocol, bytes, offset, length, options)
      : this.#ipv6.sendBytes(destination, protocol, bytes, offset, length, options);
  }

  join(group: IpAddress, index?: number): number {
    return group.family === 4 ? this.#ipv4.join(group, index) : this.#ipv6.join(group, index);
  }

  leave(group: IpAddress, index: number): void {
    if (group.family === 4) this.#ipv4.leave(group, index);
    else this.#ipv6.leave(group, index);
  }

  confirm(destination: IpAddress): void {
    if (destination.family === 6) this.#ipv6.confirm(destination);
  }

  undeliverable(packet: IpPacket, reason: Undeliverable): void {
    if (packet.destination.family === 4) this.#ipv4.undeliverable(packet, reason);
    else this.#ipv6.undeliverable(packet, reason);
  }
}
