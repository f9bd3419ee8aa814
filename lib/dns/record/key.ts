import { RecordFormat } from "./format.ts";
import { dnskey } from "./dnskey.ts";

/** A public key, of messages (RFC 2931) and before DNSKEY of zones (RFC 2535 §3.1). */
export const key = new RecordFormat("KEY", dnskey.fields);
