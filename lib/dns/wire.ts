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

/** Record types, and types of questions, by name. */
export const recordType = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  MB: 7,
  MG: 8,
  MR: 9,
  NULL: 10,
  PTR: 12,
  HINFO: 13,
  MINFO: 14,
  MX: 15,
  TXT: 16,
  RP: 17,
  AFSDB: 18,
  X25: 19,
  ISDN: 20,
  RT: 21,
  SIG: 24,
  KEY: 25,
  PX: 26,
  AAAA: 28,
  LOC: 29,
  SRV: 33,
  NAPTR: 35,
  KX: 36,
  CERT: 37,
  DNAME: 39,
  OPT: 41,
  APL: 42,
  DS: 43,
  SSHFP: 44,
  IPSECKEY: 45,
  RRSIG: 46,
  NSEC: 47,
  DNSKEY: 48,
  DHCID: 49,
  NSEC3: 50,
  NSEC3PARAM: 51,
  TLSA: 52,
  SMIMEA: 53,
  HIP: 55,
  CDS: 59,
  CDNSKEY: 60,
  OPENPGPKEY: 61,
  CSYNC: 62,
  ZONEMD: 63,
  SVCB: 64,
  HTTPS: 65,
  SPF: 99,
  NID: 104,
  L32: 105,
  L64: 106,
  LP: 107,
  EUI48: 108,
  EUI64: 109,
  TKEY: 249,
  TSIG: 250,
  IXFR: 251,
  AXFR: 252,
  MAILB: 253,
  MAILA: 254,
  ANY: 255,
  URI: 256,
  CAA: 257,
  AVC: 258,
  TA: 32768,
  DLV: 32769,
} as const;

export const classIn = 1;

/** Classes by name. `NONE` and `ANY` are of dynamic updates and questions (RFC 2136 §1.3). */
export const recordClass = { IN: 1, CH: 3, HS: 4, NONE: 254, ANY: 255 } as const;

/** RFC 1035 §4.1.1, RFC 1996, RFC 2136, RFC 8490. */
export const opcode = { query: 0, status: 2, notify: 4, update: 5, stateful: 6 } as const;

/** Response codes: RFC 1035 §4.1.1, RFC 2136 §2.2, RFC 6891 §9, RFC 8945 §3, RFC 7873 §8. */
export const rcode = {
  noError: 0,
  formatError: 1,
  serverFailure: 2,
  nameError: 3,
  notImplemented: 4,
  refused: 5,
  nameExists: 6,
  setExists: 7,
  setMissing: 8,
  notAuthoritative: 9,
  notInZone: 10,
  badVersion: 16,
  badSignature: 16,
  badKey: 17,
  badTime: 18,
  badMode: 19,
  badName: 20,
  badAlgorithm: 21,
  badTruncation: 22,
  badCookie: 23,
} as const;

/** The flags of a message's third and fourth byte (RFC 1035 §4.1.1, RFC 4035 §3). */
export const messageFlag = {
  response: 0x8000,
  authoritative: 0x0400,
  truncated: 0x0200,
  recursionDesired: 0x0100,
  recursionAvailable: 0x0080,
  authenticData: 0x0020,
  checkingDisabled: 0x0010,
} as const;

/** Numbers of EDNS options. */
export const ednsOption = {
  /** RFC 5001. */
  nsid: 3,
  /** RFC 6975: signature algorithms, DS digests and NSEC3 hashes that the sender understands. */
  dau: 5,
  dhu: 6,
  n3u: 7,
  /** RFC 7871. */
  clientSubnet: 8,
  /** RFC 7314. */
  expire: 9,
  /** RFC 7873. */
  cookie: 10,
  /** RFC 7828. */
  keepAlive: 11,
  /** RFC 7830. */
  padding: 12,
  /** RFC 7901. */
  chain: 13,
  /** RFC 8145. */
  keyTag: 14,
  /** RFC 8914. */
  extendedError: 15,
  /** RFC 9567. */
  reportChannel: 18,
} as const;
