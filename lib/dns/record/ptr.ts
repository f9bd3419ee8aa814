import { RecordFormat } from "./format.ts";
import { compressedName } from "./name-field.ts";

/** A name that is pointed to (RFC 1035 §3.3.12). */
export const ptr = new RecordFormat("PTR", { name: compressedName });
