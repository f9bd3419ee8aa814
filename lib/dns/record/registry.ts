import type { DataOf, RecordFormat } from "./format.ts";
import { a } from "./a.ts";
import { aaaa } from "./aaaa.ts";
import { afsdb } from "./afsdb.ts";
import { apl } from "./apl.ts";
import { avc } from "./avc.ts";
import { caa } from "./caa.ts";
import { cdnskey } from "./cdnskey.ts";
import { cds } from "./cds.ts";
import { cert } from "./cert.ts";
import { cname } from "./cname.ts";
import { csync } from "./csync.ts";
import { dhcid } from "./dhcid.ts";
import { dlv } from "./dlv.ts";
import { dname } from "./dname.ts";
import { dnskey } from "./dnskey.ts";
import { ds } from "./ds.ts";
import { eui48 } from "./eui48.ts";
import { eui64 } from "./eui64.ts";
import { hinfo } from "./hinfo.ts";
import { hip } from "./hip.ts";
import { https } from "./https.ts";
import { ipseckey } from "./ipseckey.ts";
import { isdn } from "./isdn.ts";
import { key } from "./key.ts";
import { kx } from "./kx.ts";
import { l32 } from "./l32.ts";
import { l64 } from "./l64.ts";
import { loc } from "./loc.ts";
import { lp } from "./lp.ts";
import { mb } from "./mb.ts";
import { mg } from "./mg.ts";
import { minfo } from "./minfo.ts";
import { mr } from "./mr.ts";
import { mx } from "./mx.ts";
import { naptr } from "./naptr.ts";
import { nid } from "./nid.ts";
import { ns } from "./ns.ts";
import { nsec } from "./nsec.ts";
import { nsec3 } from "./nsec3.ts";
import { nsec3param } from "./nsec3param.ts";
import { nullData } from "./null.ts";
import { openpgpkey } from "./openpgpkey.ts";
import { ptr } from "./ptr.ts";
import { px } from "./px.ts";
import { rp } from "./rp.ts";
import { rrsig } from "./rrsig.ts";
import { rt } from "./rt.ts";
import { sig } from "./sig.ts";
import { smimea } from "./smimea.ts";
import { soa } from "./soa.ts";
import { spf } from "./spf.ts";
import { srv } from "./srv.ts";
import { sshfp } from "./sshfp.ts";
import { svcb } from "./svcb.ts";
import { ta } from "./ta.ts";
import { tkey } from "./tkey.ts";
import { tlsa } from "./tlsa.ts";
import { tsig } from "./tsig.ts";
import { txt } from "./txt.ts";
import { uri } from "./uri.ts";
import { x25 } from "./x25.ts";
import { zonemd } from "./zonemd.ts";

/** Every format that is known. */
const known = [
  a,
  ns,
  cname,
  soa,
  mb,
  mg,
  mr,
  nullData,
  ptr,
  hinfo,
  minfo,
  mx,
  txt,
  rp,
  afsdb,
  x25,
  isdn,
  rt,
  sig,
  key,
  px,
  aaaa,
  loc,
  srv,
  naptr,
  kx,
  cert,
  dname,
  apl,
  ds,
  sshfp,
  ipseckey,
  rrsig,
  nsec,
  dnskey,
  dhcid,
  nsec3,
  nsec3param,
  tlsa,
  smimea,
  hip,
  cds,
  cdnskey,
  openpgpkey,
  csync,
  zonemd,
  svcb,
  https,
  spf,
  nid,
  l32,
  l64,
  lp,
  eui48,
  eui64,
  tkey,
  tsig,
  uri,
  caa,
  avc,
  ta,
  dlv,
] as const;

/** What a record of a known type says. */
export type KnownData = { [K in keyof typeof known]: DataOf<(typeof known)[K]> }[number];

const byCode: (RecordFormat | undefined)[] = new Array<RecordFormat | undefined>(512).fill(undefined);
const rare = new Map<number, RecordFormat>();
for (const format of known) {
  // as: a format of some fields is used as one of any, through methods that take what the fields gave
  const each = format as unknown as RecordFormat;
  if (format.code < byCode.length) byCode[format.code] = each;
  else rare.set(format.code, each);
}

/** The format of a type; `undefined` when its data are only bytes to us. */
export function formatOf(type: number): RecordFormat | undefined {
  return type < byCode.length ? byCode[type] : rare.get(type);
}
