import type { RecordParser } from "../record-parser.ts";
import type { RecordWriter } from "../record-writer.ts";
import { FieldKind } from "./format.ts";

/** Bytes to the end of the data. How they are written in text is for those that extend this to say. */
export abstract class RestField extends FieldKind<Uint8Array> {
  readonly #least: number;

  /** @param least how many there are at least */
  constructor(least = 0) {
    super();
    this.#least = least;
  }

  measure(_data: Uint8Array, at: number, end: number): number {
    return end - at >= this.#least ? end : -1;
  }

  read(parser: RecordParser, field: string): Uint8Array {
    if (parser.rest < this.#least) parser.fail("truncated", field, "the message ends too early");
    return parser.bytes(parser.rest, field);
  }

  write(writer: RecordWriter, value: Uint8Array): void {
    if (value.length < this.#least) throw new RangeError(`${value.length} bytes, where ${this.#least} are needed`);
    writer.bytes(value);
  }
}
