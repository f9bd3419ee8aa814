import { RecordFormat } from "./format.ts";
import { loweredName } from "./name-field.ts";
import { u16 } from "./number-field.ts";

/** A key exchanger (RFC 2230). */
export const kx = new RecordFormat("KX", { preference: u16, exchanger: loweredName });
