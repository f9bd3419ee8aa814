import { RecordFormat } from "./format.ts";
import { compressedName } from "./name-field.ts";

/** Mailboxes of a mailing list (RFC 1035 §3.3.7). */
export const minfo = new RecordFormat("MINFO", { responsible: compressedName, errors: compressedName });
