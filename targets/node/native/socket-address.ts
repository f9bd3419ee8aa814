import { IpAddress } from "@tesserae/device/address";

const AF_INET = 2;
const AF_INET6 = 10;

/** Bytes of `struct sockaddr_in6`, the longer one. */
export const longestSocketAddress = 28;

/** Bytes of the structure for a socket of this family. */
export function socketAddressLength(family: 4 | 6): number {
  return family === 4 ? 16 : 28;
}

/**
 * Writes a `struct sockaddr_in` or `sockaddr_in6` for a socket of family `family`; an IPv4 address for an IPv6 socket as
 * an IPv4-mapped one (RFC 4291 §2.5.5.2).
 */
export function writeSocketAddress(view: DataView, at: number, family: 4 | 6, address: IpAddress, port: number): void {
  view.setUint16(at, family === 4 ? AF_INET : AF_INET6, true);
  view.setUint16(at + 2, port);
  if (family === 4) {
    view.setInt32(at + 4, address.w3);
    view.setInt32(at + 8, 0);
    view.setInt32(at + 12, 0);
    return;
  }
  const mapped = address.family === 4;
  view.setInt32(at + 4, 0);
  view.setInt32(at + 8, address.w0);
  view.setInt32(at + 12, address.w1);
  view.setInt32(at + 16, mapped ? (address.w3 === 0 ? 0 : 0xffff) : address.w2);
  view.setInt32(at + 20, address.w3);
  view.setInt32(at + 24, 0);
}

/** The port in such a structure. */
export function portOf(view: DataView, at: number): number {
  return view.getUint16(at + 2);
}

/**
 * Addresses read from such structures, an IPv4-mapped one as IPv4. Those seen lately are the same objects again: reading
 * them allocates nothing. Who sends under many addresses only replaces others' objects.
 */
export class SeenAddresses {
  readonly #seen: IpAddress[] = new Array<IpAddress>(1024).fill(IpAddress.any4);

  read(view: DataView, at: number): IpAddress {
    if (view.getUint16(at, true) === AF_INET) return this.#find(4, 0, 0, 0, view.getInt32(at + 4));
    const w0 = view.getInt32(at + 8);
    const w1 = view.getInt32(at + 12);
    const w2 = view.getInt32(at + 16);
    const w3 = view.getInt32(at + 20);
    return w0 === 0 && w1 === 0 && w2 === 0xffff ? this.#find(4, 0, 0, 0, w3) : this.#find(6, w0, w1, w2, w3);
  }

  #find(family: 4 | 6, w0: number, w1: number, w2: number, w3: number): IpAddress {
    const place = Math.imul(w0 ^ w1 ^ w2 ^ w3, 0x9e37_79b1) >>> 22;
    const seen = this.#seen[place];
    if (seen?.w3 === w3 && seen.w2 === w2 && seen.w1 === w1 && seen.w0 === w0 && seen.family === family) return seen;
    const address = family === 4 ? IpAddress.v4(w3) : new IpAddress(6, w0, w1, w2, w3);
    this.#seen[place] = address;
    return address;
  }
}
