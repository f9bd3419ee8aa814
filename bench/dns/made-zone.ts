// Zones as records, made without a file, for benchmarks of the answerer alone.
import { nameFromText } from "@tesserae/dns/name-bytes";
import type { WireRecord } from "@tesserae/dns/wire-record";
import type { Zone } from "@tesserae/dns/authoritative/zone";
import { ZoneBuilder } from "@tesserae/dns/authoritative/zone-builder";
import { recordType } from "@tesserae/dns/wire";
import { apex, hostName } from "./zone-text.ts";

const name = nameFromText;
const ttl = 3600;
/** As long as one of ECDSA P-256. The server does not look at it. */
const signatureLength = 64;

function soaData(): Uint8Array {
  const numbers = new Uint8Array(20);
  const view = new DataView(numbers.buffer);
  for (const [index, value] of [2026010101, 7200, 3600, 1209600, 300].entries()) view.setUint32(index * 4, value);
  return Uint8Array.of(...name(`ns1.${apex}`), ...name(`hostmaster.${apex}`), ...numbers);
}

function signature(covered: number, labels: number): Uint8Array {
  const fixed = Uint8Array.of(covered >>> 8, covered, 13, labels, 0, 0, 14, 16, ...new Uint8Array(10).fill(0x55));
  return Uint8Array.of(...fixed, ...name(apex), ...new Uint8Array(signatureLength).fill(0xaa));
}

/** The zone of the other benchmarks, with so many hosts; `signed`: with NSEC records and RRSIGs of the right size. */
export function madeZone(hosts: number, signed: boolean): Zone {
  const origin = name(apex);
  const builder = new ZoneBuilder(origin);
  const put = (owner: Uint8Array, type: number, data: Uint8Array): void => {
    const record: WireRecord = { owner, type, class: 1, ttl, data };
    const fault = builder.add(record);
    if (fault !== undefined) throw new Error(fault);
    if (!signed) return;
    const { RRSIG } = recordType;
    builder.add({ owner, type: RRSIG, class: 1, ttl, data: signature(type, 3) });
  };
  put(origin, recordType.SOA, soaData());
  put(origin, recordType.NS, name(`ns1.${apex}`));
  put(name(`ns1.${apex}`), recordType.A, Uint8Array.of(192, 0, 2, 1));
  const bitmap = Uint8Array.of(0, 6, 0x40, 0, 0, 0, 0, 3);
  for (let index = 0; index < hosts; index++) {
    const owner = name(hostName(index));
    put(owner, recordType.A, Uint8Array.of(10, index >>> 16, index >>> 8, index));
    if (signed) put(owner, recordType.NSEC, Uint8Array.of(...name(hostName(index + 1)), ...bitmap));
  }
  if (signed) put(origin, recordType.NSEC, Uint8Array.of(...name(hostName(0)), ...bitmap));
  const built = builder.finish();
  if (!built.ok) throw new Error(built.message);
  return built.zone;
}

/** A query as on the wire, with EDNS. */
export function madeQuery(text: string, type: number, dnssecOk: boolean): Uint8Array {
  const opt = [0, 0, 41, 1232 >>> 8, 1232 & 255, 0, 0, dnssecOk ? 0x80 : 0, 0, 0, 0];
  return Uint8Array.of(0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, ...name(text), type >>> 8, type, 0, 1, ...opt);
}
