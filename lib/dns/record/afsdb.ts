import { RecordFormat } from "./format.ts";
import { loweredName } from "./name-field.ts";
import { u16 } from "./number-field.ts";

/** A server of AFS (RFC 1183 §1). */
export const afsdb = new RecordFormat("AFSDB", { subtype: u16, host: loweredName });
