import { RecordFormat } from "./format.ts";
import { optionalString, string } from "./string-field.ts";

/** An address of ISDN (RFC 1183 §3.2). */
export const isdn = new RecordFormat("ISDN", { address: string, subaddress: optionalString });
