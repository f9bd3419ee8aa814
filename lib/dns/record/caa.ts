import { RecordFormat } from "./format.ts";
import { u8 } from "./number-field.ts";
import { text, wordString } from "./string-field.ts";

/** Who may issue certificates (RFC 8659 §4). */
export const caa = new RecordFormat("CAA", { flags: u8, tag: wordString, value: text });
