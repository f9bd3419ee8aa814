import { RecordFormat } from "./format.ts";
import { svcb } from "./svcb.ts";

/** How to reach an HTTP origin (RFC 9460 §9): as SVCB. */
export const https = new RecordFormat("HTTPS", svcb.fields);
