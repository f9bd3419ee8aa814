import { IpAddress, type Endpoint } from "@tesserae/device/address";
import { mostAtOnce } from "@tesserae/device/udp";

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

/** The longest payload of a datagram over IPv4, bytes. */
const longestPayload = 65_507;

/** @throws RangeError unless `bytes[offset … offset + length)` is there and fits into a datagram, and `port` is one. */
export function checkDatagram(bytes: Uint8Array, offset: number, length: number, port: number): void {
  checkPort(port, 1);
  if (!Number.isInteger(length) || length < 0 || length > longestPayload) {
    throw new RangeError(`length ${String(length)} is not an integer from 0 to ${String(longestPayload)}`);
  }
  if (offset < 0 || offset + length > bytes.length) {
    throw new RangeError(`offset ${String(offset)} and length ${String(length)} lie outside bytes`);
  }
}

/** As {@link checkDatagram}, for datagrams of `size` bytes. @throws RangeError */
export function checkDatagrams(bytes: Uint8Array, offset: number, length: number, size: number, port: number): void {
  checkDatagram(bytes, offset, length, port);
  if (!Number.isInteger(size) || size < 1) throw new RangeError(`size ${String(size)} is not an integer of at least 1`);
  if (length > size * mostAtOnce) {
    throw new RangeError(
      `length ${String(length)} makes more than ${String(mostAtOnce)} datagrams of ${String(size)} bytes`,
    );
  }
}
