import { RecordFormat } from "./format.ts";
import { rrsig } from "./rrsig.ts";

/** The signature of a message (RFC 2931), and before RRSIG of records (RFC 2535 §4.1). */
export const sig = new RecordFormat("SIG", rrsig.fields);
