import { RecordFormat } from "./format.ts";
import { compressedName } from "./name-field.ts";

/** A name server of the zone (RFC 1035 §3.3.11). */
export const ns = new RecordFormat("NS", { name: compressedName });
