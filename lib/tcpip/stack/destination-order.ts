import type { IpAddress } from "@tesserae/device/address";
import type { Stack } from "@tesserae/device/stack";
import type { HostIp } from "../ip/host-ip.ts";
import { sortDestinations } from "../ipv6/address-selection.ts";

/** A stack that may tell which address its packets come from, as our own does. */
export type SourceTellingStack = Stack & { readonly network?: Pick<HostIp, "source"> };

/** The addresses of a host, the one to try first in front (RFC 6724 §6); as they are, where the stack does not tell. */
export function orderDestinations(stack: SourceTellingStack, addresses: readonly IpAddress[]): readonly IpAddress[] {
  const { network } = stack;
  if (network === undefined || addresses.length < 2) return addresses;
  return sortDestinations(addresses, (destination) => network.source(destination));
}
