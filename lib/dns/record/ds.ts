import { hex } from "./bytes-field.ts";
import { RecordFormat } from "./format.ts";
import { algorithm, u16, u8 } from "./number-field.ts";

/** The digest of a key of a delegated zone (RFC 4034 §5). */
export const ds = new RecordFormat("DS", { keyTag: u16, algorithm, digestType: u8, digest: hex });
