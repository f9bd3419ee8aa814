import { RecordFormat } from "./format.ts";
import { ds } from "./ds.ts";

/** What the parent should have as DS (RFC 7344 §3.1). */
export const cds = new RecordFormat("CDS", ds.fields);
