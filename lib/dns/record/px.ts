import { RecordFormat } from "./format.ts";
import { loweredName } from "./name-field.ts";
import { u16 } from "./number-field.ts";

/** Mapping of X.400 addresses (RFC 2163 §4). */
export const px = new RecordFormat("PX", { preference: u16, map822: loweredName, mapX400: loweredName });
