import { RecordFormat } from "./format.ts";
import { compressedName } from "./name-field.ts";
import { period, u32 } from "./number-field.ts";

/** The start of a zone (RFC 1035 §3.3.13). Times are seconds; `minimum` is how long a negative answer may be kept (RFC 2308 §4). */
export const soa = new RecordFormat("SOA", {
  primary: compressedName,
  mailbox: compressedName,
  serial: u32,
  refresh: period,
  retry: period,
  expire: period,
  minimum: period,
});
