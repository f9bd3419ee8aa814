import { base64 } from "./bytes-field.ts";
import { RecordFormat } from "./format.ts";

/** The OpenPGP key of a mail address (RFC 7929). */
export const openpgpkey = new RecordFormat("OPENPGPKEY", { key: base64 });
