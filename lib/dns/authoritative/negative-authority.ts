import { lowerCase } from "../name-bytes.ts";
import { recordType } from "../wire.ts";
import { putU16, putU32, u16At, u8At } from "./octets.ts";
import { recordHeaderLength, RecordSet } from "./rrset-block.ts";
import type { Zone } from "./zone.ts";

/**
 * What stands in the authority section of a negative answer (RFC 2308 §2): the SOA record of a zone, and its RRSIGs. It is
 * made once, and the same for all names in the zone but for the pointers to the apex, which is in the question.
 */
export class NegativeAuthority {
  readonly records: number;
  /** The records. Where a pointer is to be there is a place for one. */
  readonly bytes: Uint8Array;
  /** Where these places are in `bytes`. */
  readonly places: Int32Array;
  /** How far behind the apex's first byte each of them points. */
  readonly targets: Int32Array;

  /** @param signed whether the RRSIGs are wanted */
  constructor(zone: Zone, signed: boolean) {
    const set = new RecordSet();
    set.find(zone.names.arena, zone.names.block(0), recordType.SOA);
    const bytes: number[] = [];
    const places: number[] = [];
    const targets: number[] = [];
    const point = (target: number): void => {
      places.push(bytes.length);
      targets.push(target);
      bytes.push(0, 0);
    };
    const name = (from: Uint8Array, at: number): number => {
      for (; u8At(from, at) !== 0; at += u8At(from, at) + 1) {
        const target = suffixOf(zone.apex, from, at);
        if (target >= 0) {
          point(target);
          while (u8At(from, at) !== 0) at += u8At(from, at) + 1;
          return at + 1;
        }
        for (let index = at; index <= at + u8At(from, at); index++) bytes.push(u8At(from, index));
      }
      bytes.push(0);
      return at + 1;
    };
    // RFC 2308 §3: the lesser of its TTL and its last field.
    const header = (from: Uint8Array, at: number): number => {
      point(0);
      const start = bytes.length;
      const copied = from.slice(at, at + recordHeaderLength);
      putU32(copied, 4, zone.negativeTtl);
      bytes.push(...copied);
      return start;
    };
    const start = header(set.bytes, set.at);
    const rest = name(set.bytes, name(set.bytes, set.at + recordHeaderLength));
    bytes.push(...set.bytes.slice(rest, set.at + set.length));
    const length = bytes.length - start - recordHeaderLength;
    bytes[start + 8] = length >>> 8;
    bytes[start + 9] = length & 0xff;
    let at = set.signaturesAt;
    for (let index = 0; signed && index < set.signatures; index++) {
      header(set.signaturesIn, at);
      const next = at + recordHeaderLength + u16At(set.signaturesIn, at + 8);
      bytes.push(...set.signaturesIn.slice(at + recordHeaderLength, next));
      at = next;
    }
    this.records = 1 + (signed ? set.signatures : 0);
    this.bytes = Uint8Array.from(bytes);
    this.places = Int32Array.from(places);
    this.targets = Int32Array.from(targets);
  }

  /** Sets the pointers of a copy of `bytes` at `into[at …)`: the apex is at `apexAt` of the message. */
  point(into: Uint8Array, at: number, apexAt: number): void {
    const { places, targets } = this;
    for (let index = 0; index < places.length; index++) {
      putU16(into, at + (places[index] ?? 0), 0xc000 | (apexAt + (targets[index] ?? 0)));
    }
  }
}

/** Where in `apex` the name at `at` of `from` begins, when it is the apex or above it (and not the root); else −1. */
function suffixOf(apex: Uint8Array, from: Uint8Array, at: number): number {
  let end = at;
  while (u8At(from, end) !== 0) end += u8At(from, end) + 1;
  const length = end + 1 - at;
  const start = apex.length - length;
  let place = 0;
  while (place < start) place += u8At(apex, place) + 1;
  if (place !== start) return -1;
  for (let index = 0; index < length; index++) {
    if (u8At(lowerCase, u8At(apex, start + index)) !== u8At(lowerCase, u8At(from, at + index))) return -1;
  }
  return start;
}
