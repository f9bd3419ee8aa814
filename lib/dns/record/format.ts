import type { RecordParser } from "../record-parser.ts";
import type { RecordWriter } from "../record-writer.ts";
import { recordType } from "../wire.ts";
import type { RecordScanner } from "./scanner.ts";

/**
 * One field of a record's data: how it lies in bytes, what it is to a program (`T`), and how master files write it.
 *
 * Text and bytes are turned into each other without the value between them, so that large zones are read fast.
 */
export abstract class FieldKind<T> {
  /** Whether the field is a domain name, which may be compressed in messages. */
  readonly isName: boolean = false;
  /** Whether it is a name that the canonical form folds to lower case (RFC 4034 §6.2, RFC 6840 §5.1). */
  readonly isLowered: boolean = false;

  /** Where the field ends that begins at `at`, in `data[…, end)` without compression; −1 when it is malformed. */
  abstract measure(data: Uint8Array, at: number, end: number): number;
  /** Reads the field from a message. Faults stay in `parser`. */
  abstract read(parser: RecordParser, field: string): T;
  /** @throws RangeError when the value is out of range, or does not fit. */
  abstract write(writer: RecordWriter, value: T): void;
  /** Reads the field, and gives it as text; "" for what is not written. The bytes were measured. */
  abstract print(parser: RecordParser): string;
  /** Turns tokens into bytes. Faults stay in `scanner`. */
  abstract scan(scanner: RecordScanner, field: string): void;
}

/** Fields in their order. */
export type Fields = Readonly<Record<string, FieldKind<unknown>>>;

type Values<F extends Fields> = { readonly [K in keyof F]: F[K] extends FieldKind<infer T> ? T : never };

/** What a record of a format says. */
export type DataOf<Format> =
  Format extends RecordFormat<infer M, infer F>
    ? { readonly [K in keyof (Values<F> & { readonly type: M })]: (Values<F> & { readonly type: M })[K] }
    : never;

/** A record type: its name, number and fields. */
export class RecordFormat<M extends keyof typeof recordType = keyof typeof recordType, F extends Fields = Fields> {
  readonly name: M;
  readonly code: number;
  readonly fields: F;
  readonly kinds: readonly FieldKind<unknown>[];
  readonly #names: readonly string[];

  constructor(name: M, fields: F) {
    this.name = name;
    this.code = recordType[name];
    this.fields = fields;
    this.kinds = Object.values(fields);
    this.#names = Object.keys(fields);
  }

  /** Whether `data[at … end)`, without compression, is data of this type. Allocates nothing. */
  isValid(data: Uint8Array, at: number, end: number): boolean {
    let next = at;
    for (const kind of this.kinds) {
      next = kind.measure(data, next, end);
      if (next < 0) return false;
    }
    return next === end;
  }

  read(parser: RecordParser): DataOf<RecordFormat<M, F>> {
    const data: Record<string, unknown> = { type: this.name };
    for (let index = 0; index < this.kinds.length; index++) {
      const field = this.#names[index] ?? "";
      data[field] = this.kinds[index]?.read(parser, field);
    }
    // as: every field was read by its kind
    return data as DataOf<RecordFormat<M, F>>;
  }

  /** @param data of this format; its other properties do not matter */
  write(writer: RecordWriter, data: Readonly<Record<string, unknown>>): void {
    for (let index = 0; index < this.kinds.length; index++) {
      this.kinds[index]?.write(writer, data[this.#names[index] ?? ""]);
    }
  }

  /** The data as in a master file. @param parser over data that {@link isValid} */
  print(parser: RecordParser): string {
    let text = "";
    for (const kind of this.kinds) {
      const each = kind.print(parser);
      if (each !== "") text += text === "" ? each : ` ${each}`;
    }
    return text;
  }

  scan(scanner: RecordScanner): void {
    for (let index = 0; index < this.kinds.length && scanner.fault === undefined; index++) {
      this.kinds[index]?.scan(scanner, this.#names[index] ?? "");
    }
  }
}
