import { RecordFormat } from "./format.ts";
import { wordString } from "./string-field.ts";

/** An address of X.25 (RFC 1183 §3.1). */
export const x25 = new RecordFormat("X25", { address: wordString });
