import { RecordFormat } from "./format.ts";
import { loweredName } from "./name-field.ts";

/** What the end of names below this one becomes (RFC 6672). */
export const dname = new RecordFormat("DNAME", { name: loweredName });
