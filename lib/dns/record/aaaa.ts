import { address6 } from "./address-field.ts";
import { RecordFormat } from "./format.ts";

/** An IPv6 address (RFC 3596 §2.2). */
export const aaaa = new RecordFormat("AAAA", { address: address6 });
