/** Views: a reusable window on one header, with a getter and a setter a field. */

import { Cursor, type Field } from "./field.ts";

/** The members every view has beside its fields. */
export interface ViewBase<Fields> {
  /**
   * Moves the window to the header at the start of `bytes[offset … offset + length)`. Allocates nothing.
   *
   * @returns false when the header does not fit there; the view then has bytes of its own, all zero.
   */
  attach(bytes: Uint8Array, offset: number, length: number): boolean;
  /** A copy of the header as a plain object. */
  record(): Fields;
  /** One line, as `print` of the layout gives. */
  toString(): string;
}

/** A window on one header. Fields are read from and written to the bytes directly. */
export type View<Fields> = ViewBase<Fields> & Fields;

/** A new view of a layout. */
export function createView<Fields>(name: string, size: number, fields: readonly Field[]): View<Fields> {
  const cursor = new Cursor(new Uint8Array(size));
  const base: ViewBase<Record<string, unknown>> = {
    attach(bytes, offset, length) {
      return cursor.attach(bytes, offset, length, size);
    },
    record() {
      const record: Record<string, unknown> = {};
      for (const field of fields) record[field.name] = field.get(cursor.bytes, cursor.base);
      return record;
    },
    toString() {
      const values = fields.map((field) => `${field.name}=${field.format(field.get(cursor.bytes, cursor.base))}`);
      return [name, ...values].join(" ");
    },
  };
  for (const field of fields) {
    Object.defineProperty(base, field.name, { ...field.accessor(cursor), enumerable: true });
  }
  // The members are those of a prototype: constants to the engine.
  // as: the loop has added an accessor for every field, and the rest is there from the start.
  return Object.create(base) as View<Fields>;
}
