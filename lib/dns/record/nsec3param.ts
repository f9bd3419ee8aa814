import { salt } from "./bytes-field.ts";
import { RecordFormat } from "./format.ts";
import { u16, u8 } from "./number-field.ts";

/** How names of the zone are hashed (RFC 5155 §4). */
export const nsec3param = new RecordFormat("NSEC3PARAM", { hashAlgorithm: u8, flags: u8, iterations: u16, salt });
