import { RecordFormat } from "./format.ts";
import { plainName } from "./name-field.ts";
import { typeSet } from "./type-bitmap.ts";

/** The next name of the zone, and the types of this one (RFC 4034 §4). */
export const nsec = new RecordFormat("NSEC", { next: plainName, types: typeSet });
