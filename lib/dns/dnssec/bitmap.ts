/** Whether a type is in the bitmap `data[from …)` of an NSEC or NSEC3 record (RFC 4034 §4.1.2). */
export function bitmapHas(data: Uint8Array, from: number, type: number): boolean {
  for (let at = from; at + 2 <= data.length;) {
    const length = data[at + 1] ?? 0;
    if (data[at] === type >>> 8) {
      const byte = (type & 255) >>> 3;
      return byte < length && ((data[at + 2 + byte] ?? 0) & (0x80 >>> (type & 7))) !== 0;
    }
    at += 2 + length;
  }
  return false;
}
