import { RecordFormat } from "./format.ts";
import { txt } from "./txt.ts";

/** Application visibility and control: as TXT. */
export const avc = new RecordFormat("AVC", txt.fields);
