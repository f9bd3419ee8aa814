import { IpAddress } from "@tesserae/device/address";
import type { RecordParser } from "../record-parser.ts";
import type { RecordWriter } from "../record-writer.ts";
import { FieldKind } from "./format.ts";
import type { RecordScanner } from "./scanner.ts";

class AddressField extends FieldKind<IpAddress> {
  readonly #family: 4 | 6;

  constructor(family: 4 | 6) {
    super();
    this.#family = family;
  }

  measure(_data: Uint8Array, at: number, end: number): number {
    const next = at + (this.#family === 4 ? 4 : 16);
    return next <= end ? next : -1;
  }

  read(parser: RecordParser, field: string): IpAddress {
    if (this.#family === 4) return IpAddress.v4(parser.u32(field) | 0);
    const [w0, w1, w2, w3] = [parser.u32(field), parser.u32(field), parser.u32(field), parser.u32(field)];
    return new IpAddress(6, w0, w1, w2, w3);
  }

  write(writer: RecordWriter, value: IpAddress): void {
    if (value.family !== this.#family) throw new RangeError(`${value.toString()} is not an IPv${this.#family} address`);
    if (this.#family === 4) writer.u32(value.w3 >>> 0);
    else for (const word of [value.w0, value.w1, value.w2, value.w3]) writer.u32(word >>> 0);
  }

  print(parser: RecordParser): string {
    return this.read(parser, "").toString();
  }

  scan(scanner: RecordScanner, field: string): void {
    if (this.#family === 4) scanner.address4(field);
    else scanner.address6(field);
  }
}

export const address4: FieldKind<IpAddress> = new AddressField(4);
export const address6: FieldKind<IpAddress> = new AddressField(6);
