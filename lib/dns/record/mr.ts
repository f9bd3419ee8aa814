import { RecordFormat } from "./format.ts";
import { compressedName } from "./name-field.ts";

/** A mailbox that this one was renamed to (RFC 1035 §3.3.8). */
export const mr = new RecordFormat("MR", { name: compressedName });
