import { address4 } from "./address-field.ts";
import { RecordFormat } from "./format.ts";

/** An IPv4 address (RFC 1035 §3.4.1). */
export const a = new RecordFormat("A", { address: address4 });
