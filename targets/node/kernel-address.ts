import { IpAddress, type Endpoint } from "@tesserae/device/address";

/** Turns the kernel's text of an address into ours: without a zone, and an IPv4-mapped one into IPv4. */
export function addressOf(text: string | undefined): IpAddress {
  if (text === undefined) return IpAddress.any4;
  const percent = text.indexOf("%");
  const address = IpAddress.tryParse(percent < 0 ? text : text.slice(0, percent));
  if (address === undefined) return IpAddress.any4;
  // A dual-stack socket sees IPv4 peers as ::ffff:a.b.c.d (RFC 4291 §2.5.5.2).
  const mapped = address.family === 6 && address.w0 === 0 && address.w1 === 0 && address.w2 === 0xffff;
  return mapped ? IpAddress.v4(address.w3) : address;
}

export function endpointOf(text: string | undefined, port: number | undefined): Endpoint {
  return { address: addressOf(text), port: port ?? 0 };
}

/** @throws RangeError unless `port` is an integer from `least` to 65535. */
export function checkPort(port: number, least: number): void {
  if (!Number.isInteger(port) || port < least || port > 65535) {
    throw new RangeError(`port ${String(port)} is not an integer from ${String(least)} to 65535`);
  }
}
