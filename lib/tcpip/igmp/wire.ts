/** IGMP (RFC 3376 §4, RFC 2236 §2, RFC 1112 appendix I). */

import { ipv4 as address, layout, u16, u8 } from "@tesserae/wire/layout";

export const igmpQuery = 0x11;
export const igmpReport1 = 0x12;
export const igmpReport2 = 0x16;
export const igmpLeave2 = 0x17;
export const igmpReport3 = 0x22;

/** What all messages but reports of version 3 begin with. */
export const igmp = layout("igmp", {
  type: u8({ names: { 0x11: "query", 0x12: "report-1", 0x16: "report-2", 0x17: "leave-2", 0x22: "report-3" } }),
  /** Of queries: how long an answer may take, as {@link responseTime} reads it; 0 is a query of version 1. */
  maximumResponse: u8(),
  checksum: u16({ hex: true }),
  group: address(),
});

/** A query of version 3 goes on with this and its sources. */
export const igmpQuery3 = layout("igmp-query-3", { flags: u8(), interval: u8(), sources: u16() });

/** A report of version 3. */
export const igmpReport = layout("igmp-report", {
  type: u8(),
  reserved: u8(),
  checksum: u16({ hex: true }),
  reserved2: u16(),
  records: u16(),
});

/** One group of a report. */
export const igmpRecord = layout("igmp-record", { type: u8(), auxiliary: u8(), sources: u16(), group: address() });

/** Record types (RFC 3376 §4.2.12): all sources, or none. */
export const isExclude = 2;
export const toInclude = 3;
export const toExclude = 4;

/** Milliseconds that a maximum response code of version 3 says (RFC 3376 §4.1.1). */
export function responseTime(code: number): number {
  return 100 * (code < 128 ? code : ((code & 15) | 16) << (((code >>> 4) & 7) + 3));
}
