import { RecordFormat } from "./format.ts";
import { loweredName } from "./name-field.ts";
import { u16 } from "./number-field.ts";

/** A host that routes (RFC 1183 §3.3). */
export const rt = new RecordFormat("RT", { preference: u16, host: loweredName });
