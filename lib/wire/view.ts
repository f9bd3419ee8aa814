/** Views: a reusable window on one header, with a getter and a setter a field. */

import type { Field } from "./field.ts";

/** The members every view has beside its fields. */
export interface ViewBase<Fields> {
  /**
   * Moves the window to the header at the start of `bytes[offset … offset + length)`. Allocates nothing.
   *
   * @returns false when the header does not fit there; the fields then read as zero and writing them does nothing.
   */
  attach(bytes: Uint8Array, offset: number, length: number): boolean;
  /** A copy of the header as a plain object. */
  record(): Fields;
  /** One line, as `print` of the layout gives. */
  toString(): string;
}

/** A window on one header. Fields are read from and written to the bytes directly. */
export type View<Fields> = ViewBase<Fields> & Fields;

const none = new Uint8Array(0);

/** The state of a view, under names that no field can have. */
abstract class Window {
  $bytes: Uint8Array = none;
  $offset = 0;
}

/** The class of a layout's views. */
export function createView<Fields>(name: string, size: number, fields: readonly Field[]): new () => View<Fields> {
  class LayoutView extends Window {
    attach(bytes: Uint8Array, offset: number, length: number): boolean {
      if (length < size || offset < 0 || offset + size > bytes.length) {
        this.$bytes = none;
        this.$offset = 0;
        return false;
      }
      this.$bytes = bytes;
      this.$offset = offset;
      return true;
    }

    record(): Record<string, unknown> {
      const record: Record<string, unknown> = {};
      for (const field of fields) record[field.name] = field.get(this.$bytes, this.$offset);
      return record;
    }

    override toString(): string {
      const values = fields.map((field) => `${field.name}=${field.format(field.get(this.$bytes, this.$offset))}`);
      return [name, ...values].join(" ");
    }
  }
  for (const field of fields) Object.defineProperty(LayoutView.prototype, field.name, accessor(field));
  // as: the loop above has given the prototype an accessor for every field, and the class has the rest.
  return LayoutView as unknown as new () => View<Fields>;
}

function accessor(field: Field): PropertyDescriptor & ThisType<Window> {
  return {
    configurable: false,
    enumerable: true,
    get() {
      return field.get(this.$bytes, this.$offset);
    },
    set(value: unknown) {
      field.set(this.$bytes, this.$offset, value);
    },
  };
}
