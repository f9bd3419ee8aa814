import type { IpAddress } from "@tesserae/device/address";
import { pseudoHeaderSum4, pseudoHeaderSum6 } from "@tesserae/wire/checksum";

/** The unfolded sum of the pseudo header of either family. `length` is of the transport header and payload. */
export function pseudoHeaderSum(source: IpAddress, destination: IpAddress, protocol: number, length: number): number {
  return source.family === 4
    ? pseudoHeaderSum4(source.w3, destination.w3, protocol, length)
    : pseudoHeaderSum6(source, destination, protocol, length);
}
