import { RecordFormat } from "./format.ts";
import { ds } from "./ds.ts";

/** Look-aside validation, obsolete (RFC 4431): as DS. */
export const dlv = new RecordFormat("DLV", ds.fields);
