import { syncBuiltinESMExports } from "node:module";
import os from "node:os";
import { IpAddress, MacAddress, Prefix } from "@tesserae/device/address";
import type { Stack } from "@tesserae/device/stack";
import type { Patches } from "./patches.ts";
import { trampoline } from "./trampoline.ts";

/** What a stack tells of its interfaces, beside its addresses. */
interface Described {
  readonly netif?: { readonly name: string; readonly mac: MacAddress };
  readonly ip?: { readonly interfaces: readonly Described4[] };
  readonly ipv6?: { readonly interfaces: readonly Described6[] };
}

/** One interface. */
interface Described4 {
  readonly prefix: Prefix | undefined;
  readonly link: { readonly name: string; readonly ethernet: { readonly mac: MacAddress } };
}

interface Described6 {
  readonly addresses: readonly { readonly address: IpAddress; readonly prefixLength: number }[];
  readonly link: Described4["link"];
}

type Interfaces = NodeJS.Dict<os.NetworkInterfaceInfo[]>;

const networkInterfaces = trampoline<[], Interfaces>(os, "networkInterfaces");
syncBuiltinESMExports();

/** Replaces `os.networkInterfaces`: servers print it to say where they can be reached. */
export function patchInterfaces(stack: Stack & Described, patches: Patches): void {
  networkInterfaces.install(patches, () => {
    const loopback = describe(new Prefix(IpAddress.loopback4, 8), MacAddress.zero);
    const { netif, ip, ipv6, addresses } = stack;
    const all: Record<string, os.NetworkInterfaceInfo[]> = { lo: [loopback] };
    if (addresses.some(({ family }) => family === 6)) {
      all["lo"]?.push(describe(new Prefix(IpAddress.loopback6, 128), MacAddress.zero));
    }
    // An interface without an address is not listed.
    for (const address of addresses) {
      const on4 = ip?.interfaces.find(({ prefix }) => prefix?.address.equals(address) === true);
      const on6 = ipv6?.interfaces.find((each) => each.addresses.some((own) => own.address.equals(address)));
      const length = on6?.addresses.find((own) => own.address.equals(address))?.prefixLength;
      const prefix = on4?.prefix ?? new Prefix(address, address.family === 4 ? 32 : (length ?? 128));
      const link = on4?.link ?? on6?.link;
      (all[link?.name ?? netif?.name ?? "eth0"] ??= []).push(describe(prefix, link?.ethernet.mac ?? netif?.mac));
    }
    return all;
  });
}

function describe({ address, length }: Prefix, mac: MacAddress = MacAddress.zero): os.NetworkInterfaceInfo {
  const common = {
    address: address.toString(),
    mac: mac.toString(),
    internal: address.isLoopback,
    cidr: `${address.toString()}/${String(length)}`,
  };
  if (address.family === 6) return { ...common, family: "IPv6", netmask: netmask6(length), scopeid: 0 };
  const mask = length === 0 ? 0 : -1 << (32 - length);
  return { ...common, family: "IPv4", netmask: IpAddress.v4(mask).toString() };
}

function netmask6(length: number): string {
  const groups = Array.from({ length: 8 }, (_, index) => {
    const bits = Math.min(Math.max(length - 16 * index, 0), 16);
    return (0xffff & (0xffff << (16 - bits))).toString(16);
  });
  return IpAddress.parse(groups.join(":")).toString();
}
