import { RecordFormat } from "./format.ts";
import { u16, u32 } from "./number-field.ts";
import { typeSet } from "./type-bitmap.ts";

/** What the parent should copy from this zone (RFC 7477). */
export const csync = new RecordFormat("CSYNC", { serial: u32, flags: u16, types: typeSet });
