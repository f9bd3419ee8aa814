/** The fixed parts of DNS messages (RFC 1035 §4.1.1, RFC 4035 §3, RFC 6891 §6.1) and the numbers in them. */

import { bits, flag, layout, u16 } from "@tesserae/wire/layout";

export const dnsPort = 53;

export const header = layout("dns", {
  id: u16({ hex: true }),
  response: flag(),
  opcode: bits(4, { names: { 0: "query", 4: "notify", 5: "update" } }),
  authoritative: flag(),
  truncated: flag(),
  recursionDesired: flag(),
  recursionAvailable: flag(),
  reserved: bits(1),
  authenticData: flag(),
  checkingDisabled: flag(),
  rcode: bits(4),
  questions: u16(),
  answers: u16(),
  authorities: u16(),
  additionals: u16(),
});

/** Record types by name. */
export const recordType = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  NAPTR: 35,
  OPT: 41,
  TLSA: 52,
  CAA: 257,
  ANY: 255,
} as const;

export const classIn = 1;

/** Response codes: RFC 1035 §4.1.1, RFC 6891 §9. */
export const rcode = {
  noError: 0,
  formatError: 1,
  serverFailure: 2,
  nameError: 3,
  notImplemented: 4,
  refused: 5,
  badVersion: 16,
} as const;
