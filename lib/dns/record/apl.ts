import { IpAddress, Prefix } from "@tesserae/device/address";
import type { RecordParser } from "../record-parser.ts";
import type { RecordWriter } from "../record-writer.ts";
import { FieldKind, RecordFormat } from "./format.ts";
import type { RecordScanner } from "./scanner.ts";

export interface AddressPrefix {
  readonly isNegated: boolean;
  readonly prefix: Prefix;
}

/** Of the address families of RFC 3123: IPv4 (1) and IPv6 (2). */
class PrefixesField extends FieldKind<readonly AddressPrefix[]> {
  measure(data: Uint8Array, at: number, end: number): number {
    let next = at;
    while (next < end) {
      if (next + 4 > end) return -1;
      const family = ((data[next] ?? 0) << 8) | (data[next + 1] ?? 0);
      const bytes = (data[next + 3] ?? 0) & 0x7f;
      const most = family === 1 ? 4 : family === 2 ? 16 : -1;
      if (bytes > most || (data[next + 2] ?? 0) > most * 8) return -1;
      next += 4 + bytes;
      // Zeros at the end are left out (§4).
      if (next > end || (bytes > 0 && data[next - 1] === 0)) return -1;
    }
    return next;
  }

  read(parser: RecordParser, field: string): readonly AddressPrefix[] {
    const items: AddressPrefix[] = [];
    while (parser.rest > 0 && parser.fault === undefined) {
      const at = parser.at;
      const family = parser.u16(field);
      const length = parser.u8(field);
      const flags = parser.u8(field);
      const part = parser.bytes(flags & 0x7f, field);
      const size = family === 1 ? 4 : 16;
      const isBad = family < 1 || family > 2 || part.length > size || length > size * 8 || part.at(-1) === 0;
      if (isBad) {
        parser.fail("value", field, "a malformed address prefix", at);
        break;
      }
      const words = [0, 0, 0, 0];
      for (let index = 0; index < part.length; index++) {
        const word = family === 1 ? 3 : index >>> 2;
        words[word] = (words[word] ?? 0) | ((part[index] ?? 0) << (24 - 8 * (index & 3)));
      }
      const [w0 = 0, w1 = 0, w2 = 0, w3 = 0] = words;
      const address = new IpAddress(family === 1 ? 4 : 6, w0, w1, w2, w3);
      items.push({ isNegated: flags >= 0x80, prefix: new Prefix(address, length) });
    }
    return items;
  }

  write(writer: RecordWriter, value: readonly AddressPrefix[]): void {
    for (const item of value) for (const byte of prefixBytes(item)) writer.u8(byte);
  }

  print(parser: RecordParser): string {
    return this.read(parser, "")
      .map(({ isNegated, prefix: { address, length } }) => {
        return `${isNegated ? "!" : ""}${address.family === 4 ? 1 : 2}:${address.toString()}/${length}`;
      })
      .join(" ");
  }

  scan(scanner: RecordScanner, field: string): void {
    while (scanner.hasMore && scanner.fault === undefined) {
      const word = scanner.word(field);
      const match = /^(!?)([12]):([^/]+)\/(\d{1,3})$/.exec(word);
      const address = IpAddress.tryParse(match?.[3] ?? "");
      const length = Number(match?.[4]);
      if (address?.family !== (match?.[2] === "1" ? 4 : 6) || length > (address.family === 4 ? 32 : 128)) {
        scanner.fail(`${field}: "${word}" is not an address prefix (as in 1:192.0.2.0/24 or !2:2001:db8::/32)`);
        return;
      }
      for (const byte of prefixBytes({ isNegated: match?.[1] === "!", prefix: new Prefix(address, length) })) {
        scanner.u8(byte);
      }
    }
  }
}

function prefixBytes({ isNegated, prefix: { address, length } }: AddressPrefix): number[] {
  const bytes: number[] = [];
  const words = address.family === 4 ? [address.w3] : [address.w0, address.w1, address.w2, address.w3];
  for (const word of words) bytes.push(word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255, word & 255);
  while (bytes.at(-1) === 0) bytes.pop();
  return [0, address.family === 4 ? 1 : 2, length, bytes.length | (isNegated ? 0x80 : 0), ...bytes];
}

/** Lists of address prefixes (RFC 3123). */
export const apl = new RecordFormat("APL", { items: new PrefixesField() });
