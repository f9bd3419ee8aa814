import { base64 } from "./bytes-field.ts";
import { RecordFormat } from "./format.ts";
import { algorithm, named, u16 } from "./number-field.ts";

/** RFC 4398 §2.1. */
const certificateTypes = {
  PKIX: 1,
  SPKI: 2,
  PGP: 3,
  IPKIX: 4,
  ISPKI: 5,
  IPGP: 6,
  ACPKIX: 7,
  IACPKIX: 8,
  URI: 253,
  OID: 254,
} as const;

/** A certificate (RFC 4398). */
export const cert = new RecordFormat("CERT", {
  certificateType: named(2, certificateTypes),
  keyTag: u16,
  algorithm,
  certificate: base64,
});
