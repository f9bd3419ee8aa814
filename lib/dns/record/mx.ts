import { RecordFormat } from "./format.ts";
import { compressedName } from "./name-field.ts";
import { u16 } from "./number-field.ts";

/** A mail exchange (RFC 1035 §3.3.9). */
export const mx = new RecordFormat("MX", { preference: u16, exchange: compressedName });
