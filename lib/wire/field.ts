/**
 * Fields at fixed offsets: the accessors a layout is made of.
 *
 * There is one class a kind of field and one object a field. A call such as `udp.field.length.get(bytes, at)` sees one
 * class at each place it is written, so the engine inlines it and folds the field's offset into the code, as if the
 * shifts had been written there. Closures made by one function would share their type feedback across all layouts.
 *
 * `get` and `set` check nothing: who calls them has checked once that the header is there. Bytes past the end read as
 * zero and are not written, but one such read makes the engine compile slower code for all.
 *
 * What keeps this fast, all of it measured (`bench/wire.ts`): fields are `declare`d, because a field that is first
 * defined as undefined and then assigned is neither constant nor an integer to V8; nothing stands between an index and
 * its use (`?? 0` costs inlining budget); and accessors of views are one closure deep.
 */

/** The most that one line of a printed byte string shows. */
const shownBytes = 16;

/**
 * Where a view is attached.
 *
 * It is of one class for all views, and accessors reach it through their closures: as a property of the views, whose
 * shapes differ, it would be looked up by name on every access once a program has more than four layouts.
 */
export class Cursor {
  declare bytes: Uint8Array;
  declare base: number;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.base = 0;
  }

  /** See `View.attach`. */
  attach(bytes: Uint8Array, offset: number, length: number, size: number): boolean {
    if (length < size || offset < 0 || offset + size > bytes.length) return this.#detach(size);
    this.bytes = bytes;
    this.base = offset;
    return true;
  }

  #detach(size: number): false {
    // Bytes of its own: reads stay in bounds.
    this.bytes = new Uint8Array(size);
    this.base = 0;
    return false;
  }
}

/** The getter and setter of one field of a view. */
export interface Accessor<T> {
  get(): T;
  set(value: T): void;
}

/** One field of a layout, placed. `T` is the type of its value in records and views. */
export abstract class Field<T = unknown> {
  declare readonly name: string;
  /** The first byte that holds a part of the field, from the start of the header. */
  declare readonly offset: number;
  /** How many bytes hold a part of the field. */
  declare readonly size: number;

  constructor(name: string, offset: number, size: number) {
    this.name = name;
    this.offset = offset;
    this.size = size;
  }

  /** The value of the field in the header that starts at `bytes[base]`. */
  abstract get(bytes: Uint8Array, base: number): T;
  /** Writes the field into the header that starts at `bytes[base]`. Bits that do not fit are cut off. */
  abstract set(bytes: Uint8Array, base: number, value: T): void;
  /** Why `value` cannot be written without loss, or `undefined` when it can. */
  abstract refuse(value: T): string | undefined;
  /** The value as people read it. */
  abstract format(value: T): string;
  /** The getter and setter that the view on `cursor` has under the name of the field. */
  accessor(cursor: Cursor): Accessor<T> {
    return {
      get: () => this.get(cursor.bytes, cursor.base),
      set: (value) => this.set(cursor.bytes, cursor.base, value),
    };
  }

  /** Why the value, as received, is not allowed, or `undefined` when it is. */
  unexpected(_value: T): string | undefined {
    return undefined;
  }
}

/** How a number is printed, and which one is allowed. */
export interface NumberOptions {
  /** Names of known values, for printing: `{ 6: "tcp" }`. */
  readonly names?: Readonly<Record<number, string>>;
  /** Prints values in hexadecimal, padded to the width of the field. */
  readonly hex?: boolean;
  /** The only value that `parse` accepts. */
  readonly expect?: number;
}

/** An integer of at most 32 bits. */
export abstract class NumberField extends Field<number> {
  declare readonly least: number;
  declare readonly most: number;
  declare readonly options: NumberOptions;

  constructor(name: string, offset: number, size: number, least: number, most: number, options: NumberOptions) {
    super(name, offset, size);
    this.least = least;
    this.most = most;
    this.options = options;
  }

  refuse(value: number): string | undefined {
    if (Number.isInteger(value) && value >= this.least && value <= this.most) return undefined;
    return `${String(value)} is not an integer from ${String(this.least)} to ${String(this.most)}`;
  }

  format(value: number): string {
    const digits = Math.ceil(Math.log2(this.most - this.least + 1) / 4);
    const text = this.options.hex === true ? `0x${(value >>> 0).toString(16).padStart(digits, "0")}` : String(value);
    const name = this.options.names?.[value];
    return name === undefined ? text : `${name}(${text})`;
  }

  override unexpected(value: number): string | undefined {
    const { expect } = this.options;
    if (expect === undefined || expect === value) return undefined;
    return `${this.format(value)} where only ${this.format(expect)} is allowed`;
  }
}

/** One byte. */
export class U8Field extends NumberField {
  constructor(name: string, offset: number, options: NumberOptions) {
    super(name, offset, 1, 0, 0xff, options);
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
}

/** Two bytes in network order. */
export class U16Field extends NumberField {
  constructor(name: string, offset: number, options: NumberOptions) {
    super(name, offset, 2, 0, 0xffff, options);
  }

  get(bytes: Uint8Array, base: number): number {
    const at = base + this.offset;
    // as: in bounds, or else the shift and `|` make it 0
    return ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
  }

  set(bytes: Uint8Array, base: number, value: number): void {
    const at = base + this.offset;
    bytes[at] = value >>> 8;
    bytes[at + 1] = value;
  }

  override accessor(cursor: Cursor): Accessor<number> {
    return u16Accessor(cursor, this.offset);
  }
}

/** Two bytes, the low one first. */
export class U16LeField extends NumberField {
  constructor(name: string, offset: number, options: NumberOptions) {
    super(name, offset, 2, 0, 0xffff, options);
  }

  get(bytes: Uint8Array, base: number): number {
    const at = base + this.offset;
    // as: in bounds, or else `|` and the shift make it 0
    return (bytes[at] as number) | ((bytes[at + 1] as number) << 8);
  }

  set(bytes: Uint8Array, base: number, value: number): void {
    const at = base + this.offset;
    bytes[at] = value;
    bytes[at + 1] = value >>> 8;
  }
}

/** Three bytes in network order. */
export class U24Field extends NumberField {
  constructor(name: string, offset: number, options: NumberOptions) {
    super(name, offset, 3, 0, 0xffffff, options);
  }

  get(bytes: Uint8Array, base: number): number {
    const at = base + this.offset;
    // as: in bounds, or else the shifts and `|` make it 0
    return ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number);
  }

  set(bytes: Uint8Array, base: number, value: number): void {
    const at = base + this.offset;
    bytes[at] = value >>> 16;
    bytes[at + 1] = value >>> 8;
    bytes[at + 2] = value;
  }
}

/** Four bytes in network order, read as 0 to 2³²−1. `set` takes signed values too. */
export class U32Field extends NumberField {
  constructor(name: string, offset: number, options: NumberOptions) {
    super(name, offset, 4, 0, 0xffffffff, options);
  }

  get(bytes: Uint8Array, base: number): number {
    const at = base + this.offset;
    // as: in bounds, or else the shifts make it 0
    const high = ((bytes[at] as number) << 24) | ((bytes[at + 1] as number) << 16);
    // as: likewise
    return (high | ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number)) >>> 0;
  }

  set(bytes: Uint8Array, base: number, value: number): void {
    const at = base + this.offset;
    bytes[at] = value >>> 24;
    bytes[at + 1] = value >>> 16;
    bytes[at + 2] = value >>> 8;
    bytes[at + 3] = value;
  }

  override accessor(cursor: Cursor): Accessor<number> {
    return u32Accessor(cursor, this.offset);
  }
}

/** Four bytes, the low one first, read as 0 to 2³²−1. `set` takes signed values too. */
export class U32LeField extends NumberField {
  constructor(name: string, offset: number, options: NumberOptions) {
    super(name, offset, 4, 0, 0xffffffff, options);
  }

  get(bytes: Uint8Array, base: number): number {
    return readInt32Le(bytes, base + this.offset) >>> 0;
  }

  set(bytes: Uint8Array, base: number, value: number): void {
    writeInt32Le(bytes, base + this.offset, value);
  }
}

/**
 * Four bytes in network order, read as −2³¹ to 2³¹−1: what 32-bit sequence numbers and addresses are fastest as.
 * `set` takes unsigned values too.
 */
export class I32Field extends NumberField {
  constructor(name: string, offset: number, options: NumberOptions) {
    super(name, offset, 4, -0x80000000, 0x7fffffff, options);
  }

  get(bytes: Uint8Array, base: number): number {
    const at = base + this.offset;
    // as: in bounds, or else the shifts make it 0
    const high = ((bytes[at] as number) << 24) | ((bytes[at + 1] as number) << 16);
    // as: likewise
    return high | ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number);
  }

  set(bytes: Uint8Array, base: number, value: number): void {
    const at = base + this.offset;
    bytes[at] = value >>> 24;
    bytes[at + 1] = value >>> 16;
    bytes[at + 2] = value >>> 8;
    bytes[at + 3] = value;
  }

  override accessor(cursor: Cursor): Accessor<number> {
    return i32Accessor(cursor, this.offset);
  }
}

/** Eight bytes as a bigint from 0 to 2⁶⁴−1. Not for hot paths: a bigint is an allocation. */
export class U64Field extends Field<bigint> {
  declare readonly littleEndian: boolean;

  constructor(name: string, offset: number, littleEndian: boolean) {
    super(name, offset, 8);
    this.littleEndian = littleEndian;
  }

  get(bytes: Uint8Array, base: number): bigint {
    const at = base + this.offset;
    const high = this.littleEndian ? readInt32Le(bytes, at + 4) : readInt32(bytes, at);
    const low = this.littleEndian ? readInt32Le(bytes, at) : readInt32(bytes, at + 4);
    return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
  }

  set(bytes: Uint8Array, base: number, value: bigint): void {
    const at = base + this.offset;
    const high = Number(BigInt.asIntN(32, value >> 32n));
    const low = Number(BigInt.asIntN(32, value));
    if (this.littleEndian) {
      writeInt32Le(bytes, at, low);
      writeInt32Le(bytes, at + 4, high);
    } else {
      writeInt32(bytes, at, high);
      writeInt32(bytes, at + 4, low);
    }
  }

  refuse(value: bigint): string | undefined {
    if (value >= 0n && value <= 0xffffffffffffffffn) return undefined;
    return `${String(value)} is not an integer from 0 to 2^64-1`;
  }

  format(value: bigint): string {
    return String(value);
  }
}

/** A byte string of fixed length. */
export class BytesField extends Field<Uint8Array> {
  /** A copy of the bytes: the caller's to keep. */
  get(bytes: Uint8Array, base: number): Uint8Array {
    return bytes.slice(base + this.offset, base + this.offset + this.size);
  }

  /** Writes up to `size` bytes of `value`, and zeros behind it when it is shorter. */
  set(bytes: Uint8Array, base: number, value: Uint8Array): void {
    const start = base + this.offset;
    const given = Math.min(value.length, this.size);
    for (let index = 0; index < this.size; index++) bytes[start + index] = index < given ? (value[index] ?? 0) : 0;
  }

  refuse(value: Uint8Array): string | undefined {
    if (value.length === this.size) return undefined;
    return `${String(value.length)} bytes where the field has ${String(this.size)}`;
  }

  format(value: Uint8Array): string {
    let text = "";
    for (let index = 0; index < Math.min(value.length, shownBytes); index++) {
      text += (value[index] ?? 0).toString(16).padStart(2, "0");
    }
    return value.length > shownBytes ? `${text}…` : text;
  }
}

/*
 * Accessors read and write the bytes themselves. The engine has a budget for inlining, in bytes of bytecode, and a call
 * from an accessor to a function costs more of it than the same code in place.
 */

/** See {@link Field.accessor}. */
export function byteAccessor(cursor: Cursor, offset: number): Accessor<number> {
  return {
    // as: in bounds: the view has checked
    get: () => cursor.bytes[cursor.base + offset] as number,
    set: (value) => {
      cursor.bytes[cursor.base + offset] = value;
    },
  };
}

function u16Accessor(cursor: Cursor, offset: number): Accessor<number> {
  return {
    get: () => {
      const { bytes } = cursor;
      const at = cursor.base + offset;
      // as: in bounds: the view has checked
      return ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
    },
    set: (value) => {
      const { bytes } = cursor;
      const at = cursor.base + offset;
      bytes[at] = value >>> 8;
      bytes[at + 1] = value;
    },
  };
}

function u32Accessor(cursor: Cursor, offset: number): Accessor<number> {
  return {
    get: () => readInt32(cursor.bytes, cursor.base + offset) >>> 0,
    set: (value) => writeInt32(cursor.bytes, cursor.base + offset, value),
  };
}

function i32Accessor(cursor: Cursor, offset: number): Accessor<number> {
  return {
    get: () => readInt32(cursor.bytes, cursor.base + offset),
    set: (value) => writeInt32(cursor.bytes, cursor.base + offset, value),
  };
}

/** Four bytes in network order as an int32. Bytes that are not there read as zero. */
export function readInt32(bytes: Uint8Array, at: number): number {
  // as: in bounds, or else the shifts make it 0
  const high = ((bytes[at] as number) << 24) | ((bytes[at + 1] as number) << 16);
  // as: likewise
  return high | ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number);
}

/** Writes the low 32 bits of `value` in network order. */
export function writeInt32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

function readInt32Le(bytes: Uint8Array, at: number): number {
  // as: in bounds, or else the shifts make it 0
  const low = (bytes[at] as number) | ((bytes[at + 1] as number) << 8);
  // as: likewise
  return low | ((bytes[at + 2] as number) << 16) | ((bytes[at + 3] as number) << 24);
}

function writeInt32Le(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}
