import { RecordFormat } from "./format.ts";
import { string } from "./string-field.ts";

/** Machine and system (RFC 1035 §3.3.2); the answer to ANY (RFC 8482). */
export const hinfo = new RecordFormat("HINFO", { cpu: string, os: string });
