import { RecordFormat } from "./format.ts";
import { compressedName } from "./name-field.ts";

/** A member of a mail group (RFC 1035 §3.3.6). */
export const mg = new RecordFormat("MG", { name: compressedName });
