import { RecordFormat } from "./format.ts";
import { strings } from "./string-field.ts";

/** Strings of at most 255 bytes each (RFC 1035 §3.3.14). */
export const txt = new RecordFormat("TXT", { strings: strings });
