import { RecordFormat } from "./format.ts";
import { txt } from "./txt.ts";

/** Sender policy, obsolete (RFC 7208 §3.1): as TXT. */
export const spf = new RecordFormat("SPF", txt.fields);
