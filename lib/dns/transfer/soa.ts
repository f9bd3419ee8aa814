import { putU32, u32At } from "../authoritative/octets.ts";
import type { WireRecord } from "../wire-record.ts";

/** The numbers at the end of an SOA record's data (RFC 1035 §3.3.13). */
export interface SoaNumbers {
  readonly serial: number;
  /** Seconds, like the following. */
  readonly refresh: number;
  readonly retry: number;
  readonly expire: number;
  readonly minimum: number;
}

/** @param record an SOA record whose data was checked, or came out of a message: below 20 bytes everything is 0 */
export function readSoa({ data }: WireRecord): SoaNumbers {
  const at = data.length - 20;
  if (at < 0) return { serial: 0, refresh: 0, retry: 0, expire: 0, minimum: 0 };
  return {
    serial: u32At(data, at),
    refresh: u32At(data, at + 4),
    retry: u32At(data, at + 8),
    expire: u32At(data, at + 12),
    minimum: u32At(data, at + 16),
  };
}

/** A copy of the SOA record with another serial number. */
export function withSerial(record: WireRecord, serial: number): WireRecord {
  const data = record.data.slice();
  putU32(data, data.length - 20, serial);
  return { ...record, data };
}
