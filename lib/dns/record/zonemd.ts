import { hex } from "./bytes-field.ts";
import { RecordFormat } from "./format.ts";
import { u32, u8 } from "./number-field.ts";

/** The digest of the zone (RFC 8976 §2). */
export const zonemd = new RecordFormat("ZONEMD", { serial: u32, scheme: u8, hashAlgorithm: u8, digest: hex });
