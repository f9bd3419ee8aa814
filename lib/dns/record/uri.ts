import { RecordFormat } from "./format.ts";
import { u16 } from "./number-field.ts";
import { text } from "./string-field.ts";

/** A URI of a service (RFC 7553). */
export const uri = new RecordFormat("URI", { priority: u16, weight: u16, target: text });
