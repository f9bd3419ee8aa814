import { RecordFormat } from "./format.ts";
import { loweredName } from "./name-field.ts";
import { u16 } from "./number-field.ts";

/** A server of a service (RFC 2782). */
export const srv = new RecordFormat("SRV", { priority: u16, weight: u16, port: u16, target: loweredName });
