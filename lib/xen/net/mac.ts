import { MacAddress } from "@tesserae/device/address";
import type { Random } from "@tesserae/device/random";

/** The address that the toolstack gave; undefined where it gave none, or what is none of a host. */
export function readMac(text: string | undefined): MacAddress | undefined {
  if (text === undefined || !/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text.trim())) return undefined;
  const mac = MacAddress.parse(text.trim());
  return mac.isGroup || mac.equals(MacAddress.zero) ? undefined : mac;
}

/** Locally administered, for one host. */
export function randomMac(random: Random): MacAddress {
  const bytes = new Uint8Array(6);
  random.fill(bytes);
  bytes[0] = ((bytes[0] ?? 0) & 0xfc) | 2;
  return MacAddress.read(bytes, 0);
}
