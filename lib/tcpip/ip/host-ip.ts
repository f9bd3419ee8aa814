import type { IpAddress } from "@tesserae/device/address";
import type { Ip, IpPacket, IpSendOptions } from "@tesserae/device/ip";
import type { Undeliverable } from "../ipv4/input.ts";

/** {@link Ip} with what transports of this stack need beside: IPv4, IPv6, or both. */
export interface HostIp extends Ip {
  /** As `send`, from bytes that stay the caller's. Cuts what is longer than the path MTU. */
  sendBytes(
    destination: IpAddress,
    protocol: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
    options?: IpSendOptions,
  ): boolean;
  /** Whether the device that packets to `destination` leave by completes their transport checksums. */
  completesChecksum(destination: IpAddress): boolean;
  /** Says that a transport does not take a packet it was given: its sender is told. */
  undeliverable(packet: IpPacket, reason: Undeliverable): void;
}
