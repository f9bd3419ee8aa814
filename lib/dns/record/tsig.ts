import { sized } from "./bytes-field.ts";
import { RecordFormat } from "./format.ts";
import { plainName } from "./name-field.ts";
import { u16, u48 } from "./number-field.ts";

/** The signature of a message by a shared key (RFC 8945 §4.2). `time` is seconds since 1970, `fudge` seconds. */
export const tsig = new RecordFormat("TSIG", {
  algorithm: plainName,
  time: u48,
  fudge: u16,
  mac: sized,
  originalId: u16,
  error: u16,
  other: sized,
});
