import { freemem } from "node:os";
import { IpAddress } from "@tesserae/device/address";
import type { Timers } from "@tesserae/device/clock";
import type { Log } from "@tesserae/device/log";
import type { Netif } from "@tesserae/device/netif";
import type { Random } from "@tesserae/device/random";
import type { Interface4, Interface6 } from "@tesserae/image/key";
import { StartError } from "@tesserae/node/run-process";
import { createStack, type IpStack } from "@tesserae/tcpip/stack/stack";
import { defaultLimits } from "@tesserae/tcpip/tcp/context";

/** TCP's buffers may take a quarter of what is free at the start, and in the smallest machine so many bytes. */
const leastTcpMemory = 2_097_152;

export interface VmStackOptions {
  readonly netif: Netif;
  readonly timers: Timers;
  readonly random: Random;
  readonly log?: Log;
  readonly ipv4: Interface4;
  /** Default: `off`. */
  readonly ipv6?: Interface6;
  /** Name servers, with commas between them; empty: those that DHCP and routers tell. */
  readonly dns: string;
}

/**
 * Our stack as a machine has it: it takes the address that it is given and does not look for others that use it, which
 * would put the first request off by six seconds. A network that leases an address twice is noticed all the same, when
 * the other one speaks.
 *
 * @throws (rejects) as `createStack`; StartError for a name server that is no address.
 */
export async function createVmStack({
  ipv4,
  ipv6 = { kind: "off" },
  dns,
  ...devices
}: VmStackOptions): Promise<IpStack> {
  const nameServers = dns.split(",").flatMap((text) => (text.trim() === "" ? [] : [parseServer(text.trim())]));
  return createStack({
    ...devices,
    ipv4: { ...ipv4, probe: false },
    ipv6,
    tcp: { memory: Math.min(defaultLimits.memory, Math.max(leastTcpMemory, freemem() / 4)) },
    ...(nameServers.length === 0 ? {} : { nameServers }),
  });
}

function parseServer(text: string): IpAddress {
  const address = IpAddress.tryParse(text);
  if (address === undefined) throw new StartError(`dns: "${text}" is not an IP address such as 10.0.0.1`);
  return address;
}
