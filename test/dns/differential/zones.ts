// The zones that all servers load: one text with everything that lookups know, unsigned, signed with NSEC, with NSEC3,
// and with NSEC3 and opt-out; and a zone below the first.
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { ServedZone } from "../servers/name-server.ts";

const content = `$TTL 3600
@ SOA ns1 hostmaster.example.net. 2026010101 7200 3600 1209600 300
@ NS ns1
@ NS ns2
@ NS ns.other.test.
@ MX 10 mail
@ TXT "v=spf1 -all" ""
@ CAA 0 issue "ca.example.net"
@ HTTPS 1 . alpn=h2,h3 ipv4hint=192.0.2.80 ipv6hint=2001:db8::80
ns1 A 192.0.2.1
ns1 AAAA 2001:db8::1
ns2 A 192.0.2.2
mail A 192.0.2.25
mail AAAA 2001:db8::25
_25._tcp.mail TLSA 3 1 1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
www A 192.0.2.80
www A 192.0.2.81
www A 192.0.2.82
www AAAA 2001:db8::80
Upper.CASE A 192.0.2.90
a\\.b A 192.0.2.91
nul\\000byte A 192.0.2.92
star.\\*.middle TXT "a star that is a label"
big TXT "${"0".repeat(255)}" "${"1".repeat(255)}" "${"2".repeat(255)}"
huge TXT "${"a".repeat(255)}" "${"b".repeat(255)}" "${"c".repeat(255)}" "${"d".repeat(255)}" "${"e".repeat(255)}" "${"f".repeat(255)}"
${Array.from({ length: 40 }, (_, index) => `many A 198.51.100.${index + 1}`).join("\n")}
hinfo HINFO "PDP-11" "UNIX"
rp RP hostmaster.example.net. www
loc LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m
sshfp SSHFP 4 2 123456789abcdef67890123456789abcdef67890123456789abcdef123456789
naptr NAPTR 100 50 "s" "http+N2L" "" www
_http._tcp SRV 0 5 80 www
_http._tcp SRV 0 5 8080 www.elsewhere.test.
svcb SVCB 0 www
unknown TYPE65400 \\# 4 DEADBEEF
ptr PTR www
afsdb AFSDB 1 afs.elsewhere.test.
kx KX 10 www
uri URI 10 1 "ftp://ftp.example.net/public"
cert CERT PKIX 0 0 AQID
dhcid DHCID AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA=
openpgp OPENPGPKEY AQID
cname CNAME www
chain1 CNAME chain2
chain2 CNAME chain3
chain3 CNAME www
loop1 CNAME loop2
loop2 CNAME loop1
self CNAME self
out CNAME www.elsewhere.test.
into-cut CNAME host.sub
to-nothing CNAME not-there
to-wild CNAME some.wild
to-dname CNAME x.dname
*.wild A 192.0.2.100
*.wild TXT "wild"
there.wild TXT "there"
below.there.wild A 192.0.2.101
*.wildname CNAME www
*.wildout CNAME www.elsewhere.test.
*.wildmx MX 5 mail
*.*.two A 192.0.2.102
a.b.c.ent A 192.0.2.110
dname DNAME www
dname A 192.0.2.111
dname-ent DNAME ent
dname-out DNAME elsewhere.test.
dname-self DNAME x.dname-self
sub NS ns.sub
sub NS ns2.sub
ns.sub A 192.0.2.120
ns.sub AAAA 2001:db8::120
ns2.sub A 192.0.2.121
host.sub A 192.0.2.122
sub2 NS ns.elsewhere.test.
sub3 NS ns.sub
deep.sub4 NS ns1
secure NS ns.secure
ns.secure A 192.0.2.130
secure DS 12345 13 2 0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF
`;

const child = `$TTL 600
@ SOA ns1.diff.test. hostmaster.example.net. 7 7200 3600 1209600 60
@ NS ns1.diff.test.
@ NS ns.child.diff.test.
ns A 192.0.2.140
www A 192.0.2.141
*.any A 192.0.2.142
to-parent CNAME www.diff.test.
`;

/** Owners of the text above, relative to the apex, and names that stress how a server walks towards them. */
export const relativeNames: readonly string[] = [
  ...new Set(
    content
      .split("\n")
      .map((line) => line.split(" ", 1)[0] ?? "")
      .filter((owner) => owner !== "" && !owner.startsWith("$") && owner !== "@"),
  ),
  ...["not-there", "x.not-there", "ent", "c.ent", "b.c.ent", "x.ent", "x.b.c.ent", "middle", "*.middle", "x.middle"],
  ...[
    "x.wild",
    "y.x.wild",
    "x.there.wild",
    "x.below.there.wild",
    "wild",
    "*.wild",
    "x.*.wild",
    "x.wildname",
    "x.wildout",
  ],
  ...["y.x.two", "two", "x.two", "*.two", "x.dname", "y.x.dname", "a.b.c.dname-ent", "x.dname-ent", "b.c.dname-ent"],
  ...["x.dname-out", "x.dname-self", "y.x.dname-self", "x.sub", "y.x.sub", "x.sub2", "x.sub3", "sub4", "x.deep.sub4"],
  ...["x.secure", "child", "x.child", "www.child", "ns.child", "a.any.child", "to-parent.child"],
  ...["_tcp", "_udp", "x._tcp", "!", "~", "zzzz", "-", "0", "x.www", "x.cname", "x.mail", "case", "upper.case", "WWW"],
  `${"l".repeat(63)}.${"m".repeat(63)}`,
  `${"l".repeat(63)}.${"m".repeat(63)}.${"n".repeat(50)}.dname-out`,
  `${"l".repeat(63)}.${"m".repeat(63)}.${"n".repeat(63)}.${"o".repeat(30)}.dname`,
  Array.from({ length: 100 }, () => "q").join("."),
];

export const apexes = ["diff.test.", "child.diff.test.", "nsec.test.", "nsec3.test.", "optout.test."] as const;

/** Writes the zones and signs those that are. @returns them, as the servers load them */
export function makeZones(folder: string): ServedZone[] {
  mkdirSync(folder, { recursive: true });
  const write = (apex: string, text: string): ServedZone => {
    const file = path.join(folder, `${apex}zone`);
    writeFileSync(file, `$ORIGIN ${apex}\n${text}`);
    return { apex, file };
  };
  const delegation = "child NS ns1\nchild NS ns.child\nns.child A 192.0.2.140\n";
  return [
    write("diff.test.", content + delegation),
    write("child.diff.test.", child),
    sign(write("nsec.test.", content), []),
    sign(write("nsec3.test.", content), ["-3", "-", "-H", "0"]),
    sign(write("optout.test.", content), ["-3", "-", "-H", "0", "-A"]),
  ];
}

function sign(zone: ServedZone, args: readonly string[]): ServedZone {
  const folder = path.dirname(zone.file);
  const keys = path.join(folder, `${zone.apex}keys`);
  mkdirSync(keys, { recursive: true });
  const name = zone.apex.slice(0, -1);
  for (const flags of [[], ["-f", "KSK"]]) {
    execFileSync("dnssec-keygen", ["-q", "-K", keys, "-a", "ECDSAP256SHA256", ...flags, name], { stdio: "ignore" });
  }
  const file = `${zone.file}.signed`;
  const dates = ["-s", "20260101000000", "-e", "20360101000000"];
  execFileSync(
    "dnssec-signzone",
    ["-q", "-S", "-P", "-z", "-K", keys, "-d", keys, "-o", name, ...dates, ...args, "-f", file, zone.file],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  return { apex: zone.apex, file };
}
