import { sized } from "./bytes-field.ts";
import { RecordFormat } from "./format.ts";
import { plainName } from "./name-field.ts";
import { time, u16 } from "./number-field.ts";

/** A key being agreed on (RFC 2930 §2). Times are seconds since 1970 modulo 2³². */
export const tkey = new RecordFormat("TKEY", {
  algorithm: plainName,
  inception: time,
  expiration: time,
  mode: u16,
  error: u16,
  key: sized,
  other: sized,
});
