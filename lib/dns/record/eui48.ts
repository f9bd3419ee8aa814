import { eui48 as bytes } from "./bytes-field.ts";
import { RecordFormat } from "./format.ts";

/** An address of 48 bits (RFC 7043 §3). */
export const eui48 = new RecordFormat("EUI48", { address: bytes });
