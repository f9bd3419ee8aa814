import { hash32, salt } from "./bytes-field.ts";
import { RecordFormat } from "./format.ts";
import { u16, u8 } from "./number-field.ts";
import { typeSet } from "./type-bitmap.ts";

/** The next hash of the zone, and the types of this one (RFC 5155 §3). */
export const nsec3 = new RecordFormat("NSEC3", {
  hashAlgorithm: u8,
  flags: u8,
  iterations: u16,
  salt,
  next: hash32,
  types: typeSet,
});
