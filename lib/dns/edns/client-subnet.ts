import { IpAddress, Prefix } from "@tesserae/device/address";

/** What the client-subnet option says (RFC 7871 §6). */
export interface ClientSubnet {
  /** The address with as many bits as were sent, and the length that the sender gave. */
  readonly source: Prefix;
  /** For how many bits the answer holds; 0 in queries. */
  readonly scopeLength: number;
}

/** Reads the option's data; `undefined` when they are malformed, or of another family than IPv4 and IPv6. */
export function parseClientSubnet(bytes: Uint8Array): ClientSubnet | undefined {
  const family = ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0);
  const [length = 0, scopeLength = 0] = bytes.subarray(2, 4);
  const most = family === 1 ? 32 : family === 2 ? 128 : -1;
  const part = bytes.subarray(4);
  if (bytes.length < 4 || length > most || scopeLength > most || part.length !== (length + 7) >>> 3) return undefined;
  // Bits beyond the length are zero.
  if (length % 8 !== 0 && ((part.at(-1) ?? 0) & (0xff >>> (length % 8))) !== 0) return undefined;
  const words = [0, 0, 0, 0];
  for (let index = 0; index < part.length; index++) {
    const word = family === 1 ? 3 : index >>> 2;
    words[word] = (words[word] ?? 0) | ((part[index] ?? 0) << (24 - 8 * (index & 3)));
  }
  const [w0 = 0, w1 = 0, w2 = 0, w3 = 0] = words;
  return { source: new Prefix(new IpAddress(family === 1 ? 4 : 6, w0, w1, w2, w3), length), scopeLength };
}

/** The option's data. Bits of the address beyond the length are left out. */
export function clientSubnetBytes({ source, scopeLength }: ClientSubnet): Uint8Array {
  const { address, length } = source;
  const words = address.family === 4 ? [address.w3] : [address.w0, address.w1, address.w2, address.w3];
  const all = words.flatMap((word) => [word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255, word & 255]);
  const part = all.slice(0, (length + 7) >>> 3);
  const last = part.length - 1;
  if (length % 8 !== 0) part[last] = (part[last] ?? 0) & (0xff00 >>> (length % 8)) & 0xff;
  return Uint8Array.from([0, address.family === 4 ? 1 : 2, length, scopeLength, ...part]);
}
