import { toHex } from "@tesserae/wire/hex";
import type { RecordScanner } from "./scanner.ts";

/** Data of any type as text: `\# LENGTH HEX` (RFC 3597 §5). */
export function printGeneric(data: Uint8Array): string {
  return data.length === 0 ? "\\# 0" : `\\# ${data.length} ${toHex(data).toUpperCase()}`;
}

/** Reads what follows `\#`. Faults stay in `scanner`. */
export function scanGeneric(scanner: RecordScanner): void {
  const length = scanner.integer(0xffff, "length");
  if (length > 0 || scanner.hasMore) scanner.hex("data");
  if (scanner.length !== length) {
    scanner.fail(`length: ${length} bytes are announced, and ${scanner.length} are there`);
  }
}
