/** Fields that share bytes with their neighbours: groups of bits, the most significant first. */

import { byteAccessor, Field, NumberField, type Accessor, type Cursor, type NumberOptions } from "./field.ts";

/** 1 to 8 bits inside one byte. */
export class Bits8Field extends NumberField {
  /** Bits to the right of the field in its byte. */
  declare readonly shift: number;

  constructor(name: string, bit: number, width: number, options: NumberOptions) {
    super(name, bit >>> 3, 1, 0, 2 ** width - 1, options);
    this.shift = 8 - (bit & 7) - width;
  }

  get(bytes: Uint8Array, base: number): number {
    // as: in bounds, or else the shift makes it 0
    return ((bytes[base + this.offset] as number) >>> this.shift) & this.most;
  }

  set(bytes: Uint8Array, base: number, value: number): void {
    const at = base + this.offset;
    // as: in bounds, or else nothing is written
    bytes[at] = ((bytes[at] as number) & ~(this.most << this.shift)) | ((value & this.most) << this.shift);
  }

  override accessor(cursor: Cursor): Accessor<number> {
    return bitsAccessor8(cursor, this, this.offset, this.shift, this.most);
  }
}

/** Up to 16 bits that lie in two bytes. */
export class Bits16Field extends NumberField {
  /** Bits to the right of the field in its two bytes. */
  declare readonly shift: number;

  constructor(name: string, bit: number, width: number, options: NumberOptions) {
    super(name, bit >>> 3, 2, 0, 2 ** width - 1, options);
    this.shift = 16 - (bit & 7) - width;
  }

  get(bytes: Uint8Array, base: number): number {
    const at = base + this.offset;
    // as: in bounds, or else the shifts make it 0
    return ((((bytes[at] as number) << 8) | (bytes[at + 1] as number)) >>> this.shift) & this.most;
  }

  set(bytes: Uint8Array, base: number, value: number): void {
    const at = base + this.offset;
    const mask = this.most << this.shift;
    const placed = (value & this.most) << this.shift;
    // as: in bounds, or else nothing is written
    bytes[at] = ((bytes[at] as number) & ~(mask >>> 8)) | (placed >>> 8);
    // as: likewise
    bytes[at + 1] = ((bytes[at + 1] as number) & ~mask) | placed;
  }

  override accessor(cursor: Cursor): Accessor<number> {
    return bitsAccessor16(cursor, this, this.offset, this.shift, this.most);
  }
}

/** Up to 32 bits that lie in three or four bytes. */
export class Bits32Field extends NumberField {
  /** Bits to the right of the field in its bytes. */
  declare readonly shift: number;

  constructor(name: string, bit: number, width: number, options: NumberOptions) {
    const size = ((bit & 7) + width + 7) >>> 3;
    super(name, bit >>> 3, size, 0, 2 ** width - 1, options);
    this.shift = size * 8 - (bit & 7) - width;
  }

  get(bytes: Uint8Array, base: number): number {
    let word = 0;
    for (let at = base + this.offset; at < base + this.offset + this.size; at++) word = (word << 8) | (bytes[at] ?? 0);
    return ((word >>> this.shift) & this.most) >>> 0;
  }

  set(bytes: Uint8Array, base: number, value: number): void {
    let mask = this.most << this.shift;
    let placed = (value & this.most) << this.shift;
    for (let at = base + this.offset + this.size - 1; at >= base + this.offset; at--) {
      bytes[at] = ((bytes[at] ?? 0) & ~mask) | (placed & 0xff);
      mask >>>= 8;
      placed >>>= 8;
    }
  }
}

/** One bit, as a boolean. */
export class FlagField extends Field<boolean> {
  /** The bit in its byte. */
  declare readonly mask: number;

  constructor(name: string, bit: number) {
    super(name, bit >>> 3, 1);
    this.mask = 0x80 >>> (bit & 7);
  }

  get(bytes: Uint8Array, base: number): boolean {
    // as: in bounds, or else `&` makes it 0
    return ((bytes[base + this.offset] as number) & this.mask) !== 0;
  }

  set(bytes: Uint8Array, base: number, value: boolean): void {
    const at = base + this.offset;
    const byte = bytes[at] ?? 0;
    bytes[at] = value ? byte | this.mask : byte & ~this.mask;
  }

  refuse(value: boolean): string | undefined {
    return typeof value === "boolean" ? undefined : `${String(value)} is not a boolean`;
  }

  format(value: boolean): string {
    return value ? "1" : "0";
  }
}

/** One whole byte of named flags, as a number; `bit` has the mask of each name. */
export class FlagsField<Name extends string> extends Field<number> {
  /** The mask of each flag: `tcp.field.flags.bit.syn`. */
  declare readonly bit: Readonly<Record<Name, number>>;

  /** @param names eight names, the most significant bit first; `undefined` is a bit without a name */
  constructor(name: string, offset: number, names: readonly (Name | undefined)[]) {
    super(name, offset, 1);
    const entries = names.flatMap((each, index) => (each === undefined ? [] : [[each, 0x80 >>> index]]));
    // as: there is one entry for each name and no other.
    this.bit = Object.fromEntries(entries) as Record<Name, number>;
  }

  get(bytes: Uint8Array, base: number): number {
    // as: in bounds, or else `|` makes it 0
    return (bytes[base + this.offset] as number) | 0;
  }

  set(bytes: Uint8Array, base: number, value: number): void {
    bytes[base + this.offset] = value;
  }

  override accessor(cursor: Cursor): Accessor<number> {
    return byteAccessor(cursor, this.offset);
  }

  refuse(value: number): string | undefined {
    return Number.isInteger(value) && value >= 0 && value <= 0xff
      ? undefined
      : `${String(value)} is not an integer from 0 to 255`;
  }

  /** The names of the bits that are set; bits without a name in hexadecimal; `none`. */
  format(value: number): string {
    const set: string[] = [];
    let rest = value;
    for (const [name, mask] of Object.entries<number>(this.bit)) {
      if ((value & mask) === 0) continue;
      set.push(name);
      rest &= ~mask;
    }
    if (rest !== 0) set.push(`0x${rest.toString(16).padStart(2, "0")}`);
    return set.length === 0 ? "none" : set.join("+");
  }
}

function bitsAccessor8(cursor: Cursor, field: Bits8Field, at: number, shift: number, mask: number): Accessor<number> {
  return {
    // as: in bounds: the view has checked
    get: () => ((cursor.bytes[cursor.base + at] as number) >>> shift) & mask,
    set: (value) => field.set(cursor.bytes, cursor.base, value),
  };
}

function bitsAccessor16(cursor: Cursor, field: Bits16Field, at: number, shift: number, mask: number): Accessor<number> {
  return {
    get: () => {
      const { bytes } = cursor;
      const first = cursor.base + at;
      // as: in bounds: the view has checked
      return ((((bytes[first] as number) << 8) | (bytes[first + 1] as number)) >>> shift) & mask;
    },
    set: (value) => field.set(cursor.bytes, cursor.base, value),
  };
}
