import { IpAddress } from "@tesserae/device/address";
import { nameLength, nameToText } from "../name-bytes.ts";
import type { RecordParser } from "../record-parser.ts";
import type { RecordWriter } from "../record-writer.ts";
import { address4, address6 } from "./address-field.ts";
import { optionalBase64 } from "./bytes-field.ts";
import { FieldKind, RecordFormat } from "./format.ts";
import { u8 } from "./number-field.ts";
import type { RecordScanner } from "./scanner.ts";

export interface GatewayAndKey {
  readonly algorithm: number;
  /** A name, an address, or none. */
  readonly gateway: string | IpAddress | undefined;
  readonly key: Uint8Array;
}

class GatewayField extends FieldKind<GatewayAndKey> {
  measure(data: Uint8Array, at: number, end: number): number {
    const kind = at + 2 <= end ? (data[at] ?? 0) : 4;
    if (kind === 3) {
      const length = nameLength(data, at + 2, end);
      return length === 0 ? -1 : end;
    }
    const length = kind === 0 ? 0 : kind === 1 ? 4 : kind === 2 ? 16 : Infinity;
    return at + 2 + length <= end ? end : -1;
  }

  read(parser: RecordParser, field: string): GatewayAndKey {
    const kind = parser.u8(field);
    const algorithm = parser.u8(field);
    if (kind > 3) parser.fail("unsupported", field, `gateways of kind ${kind}`);
    const gateway =
      kind === 0
        ? undefined
        : kind === 1
          ? address4.read(parser, field)
          : kind === 2
            ? address6.read(parser, field)
            : parser.name(field);
    return { algorithm, gateway, key: optionalBase64.read(parser, field) };
  }

  write(writer: RecordWriter, { algorithm, gateway, key }: GatewayAndKey): void {
    const isAddress = gateway instanceof IpAddress;
    writer.u8(gateway === undefined ? 0 : !isAddress ? 3 : gateway.family === 4 ? 1 : 2);
    writer.u8(algorithm);
    if (isAddress) (gateway.family === 4 ? address4 : address6).write(writer, gateway);
    else if (gateway !== undefined) writer.name(gateway, false);
    writer.bytes(key);
  }

  print(parser: RecordParser): string {
    const kind = parser.u8("");
    const algorithm = parser.u8("");
    const gateway =
      kind === 0
        ? "."
        : kind === 1
          ? address4.print(parser)
          : kind === 2
            ? address6.print(parser)
            : nameToText(parser.plainName(""));
    const key = optionalBase64.print(parser);
    return `${kind} ${algorithm} ${gateway}${key === "" ? "" : ` ${key}`}`;
  }

  scan(scanner: RecordScanner, field: string): void {
    const kind = scanner.integer(3, "gateway type");
    scanner.u8(kind);
    scanner.u8(scanner.integer(255, "algorithm"));
    if (kind === 1) scanner.address4(field);
    else if (kind === 2) scanner.address6(field);
    else if (kind === 3) scanner.name(field);
    else if (scanner.word(field) !== ".") scanner.fail(`${field}: "." stands for no gateway`);
    optionalBase64.scan(scanner, "key");
  }
}

/** A key for IPsec, and the gateway that has it (RFC 4025). */
export const ipseckey = new RecordFormat("IPSECKEY", { precedence: u8, gateway: new GatewayField() });
