/**
 * Integers in network order in bytes, unchecked: who calls has checked that they are there.
 *
 * Plain functions and no `DataView`: a view would have to be made for each buffer that a message comes in.
 */

export function u8At(bytes: Uint8Array, at: number): number {
  return bytes[at] as number; // as: in bounds
}

export function u16At(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number); // as: in bounds
}

/** Unsigned. */
export function u32At(bytes: Uint8Array, at: number): number {
  const high = ((bytes[at] as number) << 24) | ((bytes[at + 1] as number) << 16); // as: in bounds
  return (high | ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number)) >>> 0; // as: in bounds
}

/** The element of an array of integers. */
export function i32At(words: Int32Array, at: number): number {
  return words[at] as number; // as: in bounds
}

export function putU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

export function putU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

/** Four bytes as one integer, in whatever order is fastest to hash and compare. Signed. */
export function wordAt(bytes: Uint8Array, at: number): number {
  const low = (bytes[at] as number) | ((bytes[at + 1] as number) << 8); // as: in bounds
  return low | ((bytes[at + 2] as number) << 16) | ((bytes[at + 3] as number) << 24); // as: in bounds
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false;
  return true;
}
