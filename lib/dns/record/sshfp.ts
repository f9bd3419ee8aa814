import { hex } from "./bytes-field.ts";
import { RecordFormat } from "./format.ts";
import { u8 } from "./number-field.ts";

/** The fingerprint of an SSH key (RFC 4255). */
export const sshfp = new RecordFormat("SSHFP", { algorithm: u8, fingerprintType: u8, fingerprint: hex });
