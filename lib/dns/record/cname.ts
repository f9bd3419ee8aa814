import { RecordFormat } from "./format.ts";
import { compressedName } from "./name-field.ts";

/** The name that this one stands for (RFC 1035 §3.3.1). */
export const cname = new RecordFormat("CNAME", { name: compressedName });
