import { base64 } from "./bytes-field.ts";
import { RecordFormat } from "./format.ts";

/** The client of DHCP that has the name (RFC 4701). */
export const dhcid = new RecordFormat("DHCID", { identifier: base64 });
