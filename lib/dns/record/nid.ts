import { locator64 } from "./bytes-field.ts";
import { RecordFormat } from "./format.ts";
import { u16 } from "./number-field.ts";

/** A node identifier of ILNP (RFC 6742 §2.1). */
export const nid = new RecordFormat("NID", { preference: u16, nodeId: locator64 });
