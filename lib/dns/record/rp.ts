import { RecordFormat } from "./format.ts";
import { loweredName } from "./name-field.ts";

/** A responsible person (RFC 1183 §2.2). */
export const rp = new RecordFormat("RP", { mailbox: loweredName, text: loweredName });
