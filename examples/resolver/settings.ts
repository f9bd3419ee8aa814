import { IpAddress, Prefix } from "@tesserae/device/address";
import type { GivenZone } from "@tesserae/dns/recursive/recursive";

/** The parts of a list. */
export function parts(text: string, separator = ","): readonly string[] {
  return text
    .split(separator)
    .map((part) => part.trim())
    .filter((part) => part !== "");
}

/** `192.0.2.0/24, 2001:db8::/32`. @throws RangeError */
export function parsePrefixes(text: string): readonly Prefix[] {
  return parts(text).map((part) => Prefix.parse(part));
}

/** `corp.example=10.0.0.53+10.0.1.53, .=9.9.9.9`. @throws RangeError */
export function parseZones(text: string): readonly GivenZone[] {
  return parts(text).map((part) => {
    const [zone, addresses, ...rest] = part.split("=");
    if (zone === undefined || zone === "" || addresses === undefined || rest.length > 0) {
      throw new RangeError(`"${part}" is not as in corp.example=10.0.0.53+10.0.1.53`);
    }
    return { zone, servers: parts(addresses, "+").map((address) => IpAddress.parse(address)) };
  });
}
