/**
 * Layouts: a header declared once, as data, and read and written four ways.
 *
 * `layout.field.x.get(bytes, offset)` is for hot paths: it compiles to the shifts one would write by hand. `view()` is
 * a reusable window with a getter and a setter a field, whose bounds are checked once. `parse` and `emit` turn bytes
 * into a plain record and back. `print` and `dump` show a header to people.
 *
 * A layout is the fixed part of a header. What follows it (options, a payload) begins at `offset + layout.size` and is
 * the caller's.
 */

import { Ipv4Field, Ipv6Field, MacField } from "./address-field.ts";
import { Bits16Field, Bits32Field, Bits8Field, FlagField, FlagsField } from "./bit-field.ts";
import { dumpFields } from "./dump.ts";
import type { Field, NumberField, NumberOptions } from "./field.ts";
import {
  BytesField,
  I32Field,
  U16Field,
  U16LeField,
  U24Field,
  U32Field,
  U32LeField,
  U64Field,
  U8Field,
} from "./field.ts";
import { failed, type Parsed } from "./parse-error.ts";
import { createView, type View } from "./view.ts";

/** A field that has no place yet: what {@link layout} is given. */
export interface FieldKind<F extends Field = Field> {
  /** The width in bits. */
  readonly bits: number;
  /** Whether the field may begin and end inside a byte. */
  readonly packed: boolean;
  /** The field at `bit` bits from the start of the header. */
  place(name: string, bit: number): F;
}

/** The placed fields of a layout. */
export type Fields<Kinds> = {
  readonly [Name in keyof Kinds]: Kinds[Name] extends FieldKind<infer F> ? F : never;
};

/** A header as a plain object. */
export type LayoutRecord<Kinds> = {
  -readonly [Name in keyof Kinds]: Kinds[Name] extends {
    place(name: string, bit: number): { get(...header: never): infer T };
  }
    ? T
    : never;
};

/** The record type of a layout: `RecordOf<typeof udp>`. */
export type RecordOf<L> = L extends Layout<infer Kinds> ? LayoutRecord<Kinds> : never;

/** The view type of a layout: `ViewOf<typeof udp>`. */
export type ViewOf<L> = L extends Layout<infer Kinds> ? View<LayoutRecord<Kinds>> : never;

/** A header of fixed size. Made by {@link layout}. */
export interface Layout<Kinds> {
  readonly name: string;
  /** Bytes in the header. */
  readonly size: number;
  /** The accessors, by name. They check nothing: see `field.ts`. */
  readonly field: Fields<Kinds>;

  /** A window that can be attached to one header after another without allocating. */
  view(): View<LayoutRecord<Kinds>>;

  /**
   * Reads the header at the start of `bytes[offset … offset + length)` into a record of its own.
   *
   * Fails with `truncated` when the header does not fit there, and with `value` when a field with `expect` holds
   * something else.
   */
  parse(bytes: Uint8Array, offset?: number, length?: number): Parsed<LayoutRecord<Kinds>>;

  /**
   * Writes the header at `offset`.
   *
   * @returns `size`.
   * @throws RangeError naming the field when its value does not fit, or when `bytes` has no room for the header.
   */
  emit(record: Readonly<LayoutRecord<Kinds>>, bytes: Uint8Array, offset?: number): number;

  /** One line: `udp sourcePort=53 destinationPort=40000 length=20 checksum=0x1c46`. */
  print(record: Readonly<LayoutRecord<Kinds>>): string;

  /**
   * The bytes `bytes[offset … offset + length)` in hex, each field beside its name and value, what follows the header
   * as a plain dump. Works on truncated headers. Offsets count from `offset`.
   */
  dump(bytes: Uint8Array, offset?: number, length?: number): string;
}

/** Names that a view needs for itself, so no field can have them. */
type Reserved = "attach" | "record" | "toString" | "constructor";

/** A compile-time error in words for a field whose name is taken. */
type WithoutReserved<Kinds> = {
  [Name in keyof Kinds]: Name extends Reserved ? `a view has a member "${Name}": choose another name` : Kinds[Name];
};

/**
 * Declares a header: its fields in order, without gaps.
 *
 * ```ts
 * const udp = layout("udp", { sourcePort: u16(), destinationPort: u16(), length: u16(), checksum: u16({ hex: true }) });
 * ```
 *
 * @throws RangeError naming the field when a group of bits does not end at a byte boundary, or a name is not an
 * identifier in camel case.
 */
export function layout<const Kinds extends Readonly<Record<string, FieldKind>>>(
  name: string,
  kinds: Kinds & WithoutReserved<Kinds>,
): Layout<Kinds> {
  const fields: Field[] = [];
  let bit = 0;
  for (const [fieldName, kind] of Object.entries<FieldKind>(kinds)) {
    if (!/^[a-z][A-Za-z0-9]*$/.test(fieldName) || fieldName in reservedNames) {
      throw new RangeError(`layout "${name}": "${fieldName}" cannot be the name of a field`);
    }
    if (!kind.packed && bit % 8 !== 0) {
      throw new RangeError(`layout "${name}": the bits in front of "${fieldName}" do not fill whole bytes`);
    }
    fields.push(kind.place(fieldName, bit));
    bit += kind.bits;
  }
  if (bit % 8 !== 0) throw new RangeError(`layout "${name}": its bits do not fill whole bytes`);
  return new FieldLayout<Kinds>(name, bit / 8, fields);
}

const reservedNames: Readonly<Record<Reserved, true>> = {
  attach: true,
  record: true,
  toString: true,
  constructor: true,
};

class FieldLayout<Kinds> implements Layout<Kinds> {
  declare readonly name: string;
  declare readonly size: number;
  declare readonly field: Fields<Kinds>;
  readonly #fields: readonly Field[];

  constructor(name: string, size: number, fields: readonly Field[]) {
    this.name = name;
    this.size = size;
    this.#fields = fields;
    const byName: Record<string, Field> = {};
    for (const field of fields) byName[field.name] = field;
    // as: each kind was placed under its own name, above.
    this.field = byName as Fields<Kinds>;
  }

  view(): View<LayoutRecord<Kinds>> {
    return createView<LayoutRecord<Kinds>>(this.name, this.size, this.#fields);
  }

  parse(bytes: Uint8Array, offset = 0, length: number = bytes.length - offset): Parsed<LayoutRecord<Kinds>> {
    const there = Math.min(length, bytes.length - offset);
    if (offset < 0 || there < this.size) return this.#truncated(offset, Math.max(0, there));
    const record: Record<string, unknown> = {};
    for (const field of this.#fields) {
      const value = field.get(bytes, offset);
      const problem = field.unexpected(value);
      if (problem !== undefined) return failed("value", this.name, field.name, offset + field.offset, problem);
      record[field.name] = value;
    }
    // as: every field has put a value of its type under its name.
    return { ok: true, value: record as LayoutRecord<Kinds> };
  }

  emit(record: Readonly<LayoutRecord<Kinds>>, bytes: Uint8Array, offset = 0): number {
    if (!(offset >= 0 && offset + this.size <= bytes.length)) {
      throw new RangeError(`${this.name}: no room for ${this.size} bytes at ${offset} of ${bytes.length}`);
    }
    // as: a record has one property for each field, of the field's type.
    const values = record as Readonly<Record<string, unknown>>;
    // All values are looked at before the first byte is written, so that a refusal leaves nothing half-written.
    for (const field of this.#fields) {
      const problem = field.refuse(values[field.name]);
      if (problem !== undefined) throw new RangeError(`${this.name}.${field.name}: ${problem}`);
    }
    for (const field of this.#fields) field.set(bytes, offset, values[field.name]);
    return this.size;
  }

  print(record: Readonly<LayoutRecord<Kinds>>): string {
    // as: a record has one property for each field, of the field's type.
    const values = record as Readonly<Record<string, unknown>>;
    return [this.name, ...this.#fields.map((field) => `${field.name}=${field.format(values[field.name])}`)].join(" ");
  }

  dump(bytes: Uint8Array, offset = 0, length: number = bytes.length - offset): string {
    return dumpFields(this.name, this.size, this.#fields, bytes, offset, length);
  }

  #truncated(offset: number, there: number): Parsed<LayoutRecord<Kinds>> {
    const first = this.#fields.find((field) => field.offset + field.size > there);
    const what = `${String(there)} bytes where the header has ${String(this.size)}`;
    return failed("truncated", this.name, first?.name ?? "", offset + (first?.offset ?? 0), what);
  }
}

function whole<F extends Field>(size: number, place: (name: string, offset: number) => F): FieldKind<F> {
  return { bits: size * 8, packed: false, place: (name, bit) => place(name, bit >>> 3) };
}

/** An unsigned byte. */
export function u8(options: NumberOptions = {}): FieldKind<U8Field> {
  return whole(1, (name, offset) => new U8Field(name, offset, options));
}

/** An unsigned 16-bit integer in network order. */
export function u16(options: NumberOptions = {}): FieldKind<U16Field> {
  return whole(2, (name, offset) => new U16Field(name, offset, options));
}

/** An unsigned 16-bit integer, low byte first. */
export function u16le(options: NumberOptions = {}): FieldKind<U16LeField> {
  return whole(2, (name, offset) => new U16LeField(name, offset, options));
}

/** An unsigned 24-bit integer in network order. */
export function u24(options: NumberOptions = {}): FieldKind<U24Field> {
  return whole(3, (name, offset) => new U24Field(name, offset, options));
}

/** An unsigned 32-bit integer in network order. */
export function u32(options: NumberOptions = {}): FieldKind<U32Field> {
  return whole(4, (name, offset) => new U32Field(name, offset, options));
}

/** An unsigned 32-bit integer, low byte first. */
export function u32le(options: NumberOptions = {}): FieldKind<U32LeField> {
  return whole(4, (name, offset) => new U32LeField(name, offset, options));
}

/** 32 bits in network order as a signed integer, which is what sequence numbers and addresses are fastest as. */
export function i32(options: NumberOptions = {}): FieldKind<I32Field> {
  return whole(4, (name, offset) => new I32Field(name, offset, options));
}

/** An unsigned 64-bit integer in network order, as a bigint. */
export function u64(): FieldKind<U64Field> {
  return whole(8, (name, offset) => new U64Field(name, offset, false));
}

/** An unsigned 64-bit integer, low byte first, as a bigint. */
export function u64le(): FieldKind<U64Field> {
  return whole(8, (name, offset) => new U64Field(name, offset, true));
}

/**
 * `width` bits, counted from the most significant bit of the first byte on, as RFCs draw them.
 *
 * @param width 1 to 32; the field lies in at most four bytes
 * @throws RangeError when the width is out of range; when declared where it would touch five bytes.
 */
export function bits(width: number, options: NumberOptions = {}): FieldKind<NumberField> {
  if (!Number.isInteger(width) || width < 1 || width > 32) {
    throw new RangeError(`width ${String(width)} is not an integer from 1 to 32`);
  }
  return {
    bits: width,
    packed: true,
    place: (name, bit) => {
      const touched = ((bit & 7) + width + 7) >>> 3;
      if (touched > 4) throw new RangeError(`"${name}": ${String(width)} bits that lie in five bytes`);
      if (touched === 1) return new Bits8Field(name, bit, width, options);
      return touched === 2 ? new Bits16Field(name, bit, width, options) : new Bits32Field(name, bit, width, options);
    },
  };
}

/** One bit, as a boolean. */
export function flag(): FieldKind<FlagField> {
  return { bits: 1, packed: true, place: (name, bit) => new FlagField(name, bit) };
}

/**
 * One byte of flags, as a number, with a mask for each name in `field.bit`.
 *
 * @param names the eight bits, the most significant first; `undefined` is a bit without a name
 * @throws RangeError when there are not eight.
 */
export function flags<const Name extends string>(names: readonly (Name | undefined)[]): FieldKind<FlagsField<Name>> {
  if (names.length !== 8) throw new RangeError(`${String(names.length)} names for eight flags`);
  return whole(1, (name, offset) => new FlagsField(name, offset, names));
}

/**
 * A byte string of fixed length.
 *
 * @throws RangeError when the length is not a positive integer.
 */
export function bytes(length: number): FieldKind<BytesField> {
  if (!Number.isInteger(length) || length < 1) throw new RangeError(`length ${String(length)} is not above 0`);
  return whole(length, (name, offset) => new BytesField(name, offset, length));
}

/** An IEEE 802 address: six bytes. */
export function mac(): FieldKind<MacField> {
  return whole(6, (name, offset) => new MacField(name, offset));
}

/** An IPv4 address: four bytes. */
export function ipv4(): FieldKind<Ipv4Field> {
  return whole(4, (name, offset) => new Ipv4Field(name, offset));
}

/** An IPv6 address: sixteen bytes. */
export function ipv6(): FieldKind<Ipv6Field> {
  return whole(16, (name, offset) => new Ipv6Field(name, offset));
}
