import { RecordFormat } from "./format.ts";
import { tlsa } from "./tlsa.ts";

/** The certificate of a mail address (RFC 8162): as TLSA. */
export const smimea = new RecordFormat("SMIMEA", tlsa.fields);
