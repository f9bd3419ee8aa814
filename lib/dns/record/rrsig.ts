import { base64 } from "./bytes-field.ts";
import { RecordFormat } from "./format.ts";
import { loweredName } from "./name-field.ts";
import { algorithm, time, typeNumber, u16, u32, u8 } from "./number-field.ts";

/** The signature of a set of records (RFC 4034 §3). Times are seconds since 1970 modulo 2³². */
export const rrsig = new RecordFormat("RRSIG", {
  covered: typeNumber,
  algorithm,
  labels: u8,
  originalTtl: u32,
  expiration: time,
  inception: time,
  keyTag: u16,
  signer: loweredName,
  signature: base64,
});
