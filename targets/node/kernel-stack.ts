import { networkInterfaces } from "node:os";
import type { IpAddress } from "@tesserae/device/address";
import type { Stack } from "@tesserae/device/stack";
import { addressOf } from "./kernel-address.ts";
import { KernelTcp, type KernelTcpOptions } from "./kernel-tcp.ts";
import { KernelUdp, type KernelUdpOptions } from "./kernel-udp.ts";

export interface KernelStackOptions extends KernelTcpOptions, KernelUdpOptions {}

/** The kernel's own TCP and UDP, through Node: no privilege needed. */
export function createKernelStack(options: KernelStackOptions = {}): Stack {
  return new KernelStack(options);
}

class KernelStack implements Stack {
  readonly tcp: KernelTcp;
  readonly udp: KernelUdp;

  constructor(options: KernelStackOptions) {
    this.tcp = new KernelTcp(options);
    this.udp = new KernelUdp(options);
  }

  get addresses(): readonly IpAddress[] {
    return Object.values(networkInterfaces())
      .flatMap((each) => each ?? [])
      .filter((each) => !each.internal)
      .map((each) => addressOf(each.address));
  }

  async close(): Promise<void> {
    await Promise.all([this.tcp.close(), this.udp.close()]);
  }
}
