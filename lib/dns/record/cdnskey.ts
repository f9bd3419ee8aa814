import { RecordFormat } from "./format.ts";
import { dnskey } from "./dnskey.ts";

/** The key that the parent should have a DS of (RFC 7344 §3.2). */
export const cdnskey = new RecordFormat("CDNSKEY", dnskey.fields);
