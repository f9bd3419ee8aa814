import { address4 } from "./address-field.ts";
import { RecordFormat } from "./format.ts";
import { u16 } from "./number-field.ts";

/** A locator of ILNP for IPv4 (RFC 6742 §2.2). */
export const l32 = new RecordFormat("L32", { preference: u16, locator: address4 });
