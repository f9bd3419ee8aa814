/** Multicast Listener Discovery (RFC 2710 §3, RFC 3810 §5). */

import { bits, flag, ipv6, layout, u16, u8 } from "@tesserae/wire/layout";

/** A message of version 1; a query of version 2 begins so, too. */
export const mld1 = layout("mld", {
  type: u8({ names: { 130: "query", 131: "report", 132: "done" } }),
  code: u8(),
  checksum: u16({ hex: true }),
  /** Milliseconds; in version 2 a floating-point number above 32,767. */
  maximumDelay: u16(),
  reserved: u16(),
  group: ipv6(),
});

/** What a query of version 2 has more. */
export const mld2Query = layout("mldv2-query", {
  reserved: bits(4),
  suppress: flag(),
  robustness: bits(3),
  /** Seconds, as a floating-point number above 127. */
  interval: u8(),
  sources: u16(),
});

export const mld2Report = layout("mldv2-report", {
  type: u8({ expect: 143 }),
  code: u8({ expect: 0 }),
  checksum: u16({ hex: true }),
  reserved: u16(),
  records: u16(),
});

/** One group in a report. */
export const mld2Record = layout("mldv2-record", {
  type: u8({ names: { 1: "is-include", 2: "is-exclude", 3: "to-include", 4: "to-exclude" } }),
  /** In 32-bit words. */
  auxiliary: u8(),
  sources: u16(),
  group: ipv6(),
});

export const isExclude = 2;
export const toInclude = 3;
export const toExclude = 4;

/** The time that a maximum response code means, milliseconds (RFC 3810 §5.1.3). */
export function responseTime(code: number): number {
  if (code < 0x8000) return code;
  return ((code & 0xfff) | 0x1000) * 2 ** (((code >>> 12) & 7) + 3);
}
