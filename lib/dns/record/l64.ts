import { locator64 } from "./bytes-field.ts";
import { RecordFormat } from "./format.ts";
import { u16 } from "./number-field.ts";

/** A locator of ILNP for IPv6 (RFC 6742 §2.3). */
export const l64 = new RecordFormat("L64", { preference: u16, locator: locator64 });
