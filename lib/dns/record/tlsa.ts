import { hex } from "./bytes-field.ts";
import { RecordFormat } from "./format.ts";
import { u8 } from "./number-field.ts";

/** The certificate of a TLS server (RFC 6698 §2.1). */
export const tlsa = new RecordFormat("TLSA", { usage: u8, selector: u8, matching: u8, data: hex });
