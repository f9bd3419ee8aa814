import { RecordFormat } from "./format.ts";
import { plainName } from "./name-field.ts";
import { u16 } from "./number-field.ts";

/** A name with locators of ILNP (RFC 6742 §2.4). */
export const lp = new RecordFormat("LP", { preference: u16, name: plainName });
