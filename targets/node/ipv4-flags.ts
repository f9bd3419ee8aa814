import { IpAddress } from "@tesserae/device/address";
import { StartError } from "./run-process.ts";

/**
 * What the flags `dhcp` and `gateway` make of the text of the stack's key `ipv4`; `undefined` when they are not given.
 *
 * @param before the key's text without them
 * @throws StartError naming the flag.
 */
export function readIpv4Flags(flags: Readonly<Record<string, string>>, before: string | undefined): string | undefined {
  const gateway = flags["gateway"];
  if ("dhcp" in flags) {
    if (gateway !== undefined) throw new StartError("--gateway: with --dhcp the router comes from the network");
    return "dhcp";
  }
  if (gateway === undefined) return undefined;
  if (IpAddress.tryParse(gateway)?.family !== 4) {
    throw new StartError(`--gateway: "${gateway}" is not an IPv4 address such as 10.0.0.1`);
  }
  const address = before?.split(" ")[0];
  if (address === undefined || address === "dhcp") throw new StartError("--gateway: give our own address with --ipv4");
  return `${address} via ${gateway}`;
}
