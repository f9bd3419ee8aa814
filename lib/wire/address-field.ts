/** Address fields. `get` makes an object; the hot path uses `equals`, `word` and `setWord`, which do not. */

import { IpAddress, MacAddress } from "@tesserae/device/address";
import { Field, readInt32, writeInt32 } from "./field.ts";

/** Six bytes: an IEEE 802 address. */
export class MacField extends Field<MacAddress> {
  constructor(name: string, offset: number) {
    super(name, offset, 6);
  }

  get(bytes: Uint8Array, base: number): MacAddress {
    return MacAddress.read(bytes, base + this.offset);
  }

  set(bytes: Uint8Array, base: number, value: MacAddress): void {
    value.write(bytes, base + this.offset);
  }

  /** Whether the field holds `value`. Allocates nothing. */
  equals(bytes: Uint8Array, base: number, value: MacAddress): boolean {
    const at = base + this.offset;
    return readInt32(bytes, at + 2) === value.low && (((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)) === value.high;
  }

  refuse(value: MacAddress): string | undefined {
    return value instanceof MacAddress ? undefined : `${String(value)} is not a MacAddress`;
  }

  format(value: MacAddress): string {
    return value.toString();
  }
}

/** Four bytes: an IPv4 address. */
export class Ipv4Field extends Field<IpAddress> {
  constructor(name: string, offset: number) {
    super(name, offset, 4);
  }

  get(bytes: Uint8Array, base: number): IpAddress {
    return IpAddress.v4(readInt32(bytes, base + this.offset));
  }

  set(bytes: Uint8Array, base: number, value: IpAddress): void {
    writeInt32(bytes, base + this.offset, value.w3);
  }

  /** The address as an int32, as in `IpAddress.w3`. Allocates nothing. */
  word(bytes: Uint8Array, base: number): number {
    return readInt32(bytes, base + this.offset);
  }

  /** Writes an address given as `IpAddress.w3`, signed or unsigned. */
  setWord(bytes: Uint8Array, base: number, word: number): void {
    writeInt32(bytes, base + this.offset, word);
  }

  /** Whether the field holds `value`. Allocates nothing. */
  equals(bytes: Uint8Array, base: number, value: IpAddress): boolean {
    return readInt32(bytes, base + this.offset) === value.w3 && value.family === 4;
  }

  refuse(value: IpAddress): string | undefined {
    return value.family === 4 ? undefined : `${value.toString()} is not an IPv4 address`;
  }

  format(value: IpAddress): string {
    return value.toString();
  }
}

/** Sixteen bytes: an IPv6 address. */
export class Ipv6Field extends Field<IpAddress> {
  constructor(name: string, offset: number) {
    super(name, offset, 16);
  }

  get(bytes: Uint8Array, base: number): IpAddress {
    const at = base + this.offset;
    return new IpAddress(
      6,
      readInt32(bytes, at),
      readInt32(bytes, at + 4),
      readInt32(bytes, at + 8),
      readInt32(bytes, at + 12),
    );
  }

  set(bytes: Uint8Array, base: number, value: IpAddress): void {
    const at = base + this.offset;
    writeInt32(bytes, at, value.w0);
    writeInt32(bytes, at + 4, value.w1);
    writeInt32(bytes, at + 8, value.w2);
    writeInt32(bytes, at + 12, value.w3);
  }

  /** Whether the field holds `value`. Allocates nothing. */
  equals(bytes: Uint8Array, base: number, value: IpAddress): boolean {
    const at = base + this.offset;
    return (
      readInt32(bytes, at + 12) === value.w3 &&
      readInt32(bytes, at + 8) === value.w2 &&
      readInt32(bytes, at + 4) === value.w1 &&
      readInt32(bytes, at) === value.w0 &&
      value.family === 6
    );
  }

  refuse(value: IpAddress): string | undefined {
    return value.family === 6 ? undefined : `${value.toString()} is not an IPv6 address`;
  }

  format(value: IpAddress): string {
    return value.toString();
  }
}
