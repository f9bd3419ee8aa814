import { serviceParameters } from "./service-parameters.ts";
import { RecordFormat } from "./format.ts";
import { plainName } from "./name-field.ts";
import { u16 } from "./number-field.ts";

/** How to reach a service (RFC 9460). */
export const svcb = new RecordFormat("SVCB", { priority: u16, target: plainName, params: serviceParameters });
