import { eui64 as bytes } from "./bytes-field.ts";
import { RecordFormat } from "./format.ts";

/** An address of 64 bits (RFC 7043 §4). */
export const eui64 = new RecordFormat("EUI64", { address: bytes });
