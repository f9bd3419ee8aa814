import { optionalBase64 } from "./bytes-field.ts";
import { RecordFormat } from "./format.ts";
import { algorithm, u16, u8 } from "./number-field.ts";

/** A public key of the zone (RFC 4034 §2). */
export const dnskey = new RecordFormat("DNSKEY", { flags: u16, protocol: u8, algorithm, key: optionalBase64 });
