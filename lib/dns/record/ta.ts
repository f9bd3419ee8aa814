import { RecordFormat } from "./format.ts";
import { ds } from "./ds.ts";

/** A trust anchor: as DS. */
export const ta = new RecordFormat("TA", ds.fields);
