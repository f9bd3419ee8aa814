import { RecordFormat } from "./format.ts";
import { compressedName } from "./name-field.ts";

/** A host with the mailbox (RFC 1035 §3.3.3). */
export const mb = new RecordFormat("MB", { name: compressedName });
