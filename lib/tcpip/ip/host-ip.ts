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
  /**
   * How many bytes of UDP payload one packet to `destination` may carry when the device is to cut it into datagrams
   * (`Page.segmentSize`); 0 where it is to be done before: the device does not, the packet stays on this host or goes to
   * many, or leaves by an interface that `allocate` has no pages of.
   *
   * @param options those that it will be sent with
   */
  datagramSegmentation(destination: IpAddress, options: IpSendOptions): number;
  /** Says that a transport does not take a packet it was given: its sender is told. */
  undeliverable(packet: IpPacket, reason: Undeliverable): void;
}
