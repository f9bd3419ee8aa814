import { nameLength } from "../name-bytes.ts";
import { u16At, u8At } from "./octets.ts";
import { recordType } from "../wire.ts";

/**
 * Where names are in the data of records, as far as a name server must know: to check, compare, compress and follow
 * them. The data of other types is bytes.
 */

/** Bytes in front of the first name of a type's data. */
const bytesBefore: ReadonlyMap<number, number> = new Map([
  ...[2, 3, 4, 5, 6, 7, 8, 9, 12, 14, 17, 39, 47].map((each) => [each, 0] as const),
  ...[15, 18, 21, 26, 36, 64, 65, 107].map((each) => [each, 2] as const),
  ...[[33, 6] as const, [24, 18] as const, [46, 18] as const],
]);
const twoNames: ReadonlySet<number> = new Set([6, 14, 17, 26]);
/** Types whose names may be compressed: those of RFC 1035 and no later ones (RFC 3597 §4). */
const compressible: ReadonlySet<number> = new Set([2, 3, 4, 5, 6, 7, 8, 9, 12, 14, 15]);
/** Types with nothing behind the last name. */
const endsInName: ReadonlySet<number> = new Set([2, 3, 4, 5, 7, 8, 9, 12, 14, 15, 17, 18, 21, 26, 33, 36, 39, 107]);
/** Types whose target's addresses are sent along. */
const withTarget: ReadonlySet<number> = new Set([2, 15, 33, 64, 65]);

const layouts = Uint8Array.from({ length: 256 }, (_, code) => {
  const before = bytesBefore.get(code);
  if (before === undefined) return 0;
  return before | 0x20 | (twoNames.has(code) ? 0x40 : 0) | (compressible.has(code) ? 0x80 : 0);
});
const targets = Uint8Array.from({ length: 256 }, (_, code) => (withTarget.has(code) ? 1 : 0));

/** How many bytes are in front of the first name of such data. */
export function bytesBeforeName(code: number): number {
  return code < 256 ? u8At(layouts, code) & 0x1f : 0;
}

/** How many names such data has behind those bytes: 0, 1 or 2. */
export function namesIn(code: number): number {
  if (code > 255 || u8At(layouts, code) === 0) return 0;
  return (u8At(layouts, code) & 0x40) !== 0 ? 2 : 1;
}

/** How many of them may be compressed. */
export function compressibleNames(code: number): number {
  return code < 256 && (u8At(layouts, code) & 0x80) !== 0 ? namesIn(code) : 0;
}

/** Whether the addresses of the name in such data help who asks for it. */
export function hasTarget(code: number): boolean {
  return code < 256 && u8At(targets, code) === 1;
}

/** What is wrong with the data of a record, in words, as far as a name server must be able to rely on it. */
export function dataFault(code: number, data: Uint8Array): string | undefined {
  const { length } = data;
  if (length > 0xffff) return `data is ${length} bytes long, of at most 65535`;
  if (code === recordType.A && length !== 4) return `an A record has ${length} bytes of data, not 4`;
  if (code === recordType.AAAA && length !== 16) return `an AAAA record has ${length} bytes of data, not 16`;
  let at = bytesBeforeName(code);
  for (let name = 0; name < namesIn(code); name++) {
    const named = nameLength(data, at, length);
    if (named === 0) return `data of type ${code} has no name at byte ${at}`;
    at += named;
  }
  if (code === recordType.SOA && length !== at + 20) return `an SOA record ends at byte ${length}, not ${at + 20}`;
  if (endsInName.has(code) && length !== at) return `data of type ${code} goes on behind its name, at byte ${at}`;
  if (code === recordType.NSEC3) {
    const salt = u8At(data, 4);
    if (length < 5 || length < 6 + salt || length < 6 + salt + u8At(data, 5 + salt)) {
      return "an NSEC3 record ends within its salt or hash";
    }
  }
  if (code === recordType.NSEC3PARAM && (length < 5 || length !== 5 + u8At(data, 4))) {
    return "an NSEC3PARAM record's salt does not end where the record does";
  }
  return undefined;
}

/** The type that an RRSIG record covers (RFC 4034 §3.1.1). */
export function coveredType(data: Uint8Array): number {
  return u16At(data, 0);
}
