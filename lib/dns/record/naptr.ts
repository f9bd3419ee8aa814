import { RecordFormat } from "./format.ts";
import { loweredName } from "./name-field.ts";
import { u16 } from "./number-field.ts";
import { string } from "./string-field.ts";

/** A rule of rewriting (RFC 3403 §4.1). */
export const naptr = new RecordFormat("NAPTR", {
  order: u16,
  preference: u16,
  flags: string,
  services: string,
  regexp: string,
  replacement: loweredName,
});
