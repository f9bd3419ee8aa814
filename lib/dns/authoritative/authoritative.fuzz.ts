import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { IpAddress } from "@tesserae/device/address";
import { nameFromText } from "../name-bytes.ts";
import { parseWireMessage } from "../wire-message.ts";
import { type Authoritative, createAuthoritative } from "./authoritative.ts";
import { Cookies } from "./cookie.ts";
import { loadZone } from "./zone-file.ts";
import { Zones } from "./zones.ts";

const client = IpAddress.parse("2001:db8::99");
/** What an answer over UDP may have for each byte of the query; docs/dns.md states it. */
const amplification = 45;
const udpSize = 1232;

const signature = "13 2 300 20360101000000 20260101000000 12345 example. AAAA";
const zones = new Zones();
for (const [apex, text] of [
  [
    "example.",
    `@ SOA ns admin 1 2 3 4 300
@ NS ns
@ MX 10 mail
@ RRSIG SOA ${signature}
@ RRSIG NS ${signature}
@ NSEC *.wild NS SOA MX RRSIG NSEC
@ RRSIG NSEC ${signature}
ns A 192.0.2.1
ns AAAA 2001:db8::1
mail A 192.0.2.2
*.wild CNAME x.y.wild
a.b.c TXT "x"
loop CNAME pool
pool CNAME loop
name DNAME name.name
big TXT ${Array.from({ length: 12 }, (_, index) => `"${String(index).repeat(100).slice(0, 250)}"`).join(" ")}
$GENERATE 1-100 many A 10.0.0.$
sub NS ns.sub
sub DS 1 13 2 ${"00".repeat(32)}
ns.sub A 192.0.2.3
out CNAME www.hashed.
`,
  ],
  [
    "hashed.",
    `@ SOA ns admin 1 2 3 4 300
@ NS ns
@ NSEC3PARAM 1 0 2 ABCD
ns A 192.0.2.1
sub NS ns.sub
00000000000000000000000000000000 NSEC3 1 1 2 ABCD G0000000000000000000000000000000 A
g0000000000000000000000000000000 NSEC3 1 1 2 ABCD 00000000000000000000000000000000 NS SOA
`,
  ],
] as const) {
  const loaded = loadZone(nameFromText(apex), text, { ttl: 300 });
  if (!loaded.ok) throw new Error(loaded.errors.join());
  zones.replace(loaded.zone);
}

function query(text: string, type: number, options: readonly number[] = []): Uint8Array {
  const opt = [0, 0, 41, 4, 208, 0, 0, 0x80, 0, 0, options.length, ...options];
  return Uint8Array.of(0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1, ...nameFromText(text), type >>> 8, type, 0, 1, ...opt);
}

function answerer(): Authoritative {
  const clock = { now: () => 0, wall: () => 1e12 };
  const cookies = new Cookies(clock, [new Uint8Array(16)]);
  return createAuthoritative({
    zones,
    cookies,
    memory: 4096,
    nsid: new Uint8Array(8),
    version: "1",
    idleTimeout: 1000,
  });
}

/** Any bytes to the whole answerer: no exception, an answer that can be read, no longer than stated. */
export const fuzz: FuzzTarget = {
  name: "dns-authoritative",
  seeds: [
    ...[
      "example.",
      "ns.example.",
      "x.example.",
      "q.wild.example.",
      "loop.example.",
      "a.name.example.",
      "big.example.",
    ].map((name) => query(name, 1)),
    ...[query("example.", 255), query("example.", 46), query("sub.example.", 43), query("x.sub.example.", 1)],
    ...[query("many.example.", 1), query("out.example.", 28), query("x.hashed.", 1), query("x.sub.hashed.", 1)],
    query("ns.example.", 1, [0, 3, 0, 0, 0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 12, 0, 2, 0, 0, 0, 11, 0, 0]),
    Uint8Array.of(
      0,
      1,
      0,
      0,
      0,
      1,
      0,
      0,
      0,
      0,
      0,
      0,
      7,
      ...new TextEncoder().encode("version"),
      4,
      98,
      105,
      110,
      100,
      0,
      0,
      16,
      0,
      3,
    ),
  ],
  run(input) {
    const server = answerer();
    const room = 2048;
    const guarded = new Uint8Array(room + 64).fill(0x5a);
    for (const transport of ["udp", "udp", "udp", "tcp", "tls"] as const) {
      const length = server.answer(input, 0, input.length, guarded, 32, room, transport, client);
      if (guarded.subarray(0, 32).some((byte) => byte !== 0x5a)) throw new Error("wrote in front of its place");
      if (guarded.subarray(32 + room).some((byte) => byte !== 0x5a)) throw new Error("wrote behind its limit");
      if (length === 0) continue;
      if (length > room) throw new Error(`${length} bytes of an answer, ${room} of room`);
      if (transport === "udp") {
        if (length > udpSize) throw new Error(`${length} bytes over UDP`);
        if (length > input.length * amplification) throw new Error(`${length} bytes for ${input.length}`);
      }
      const parsed = parseWireMessage(guarded, 32, length);
      if (!parsed.ok) throw new Error(`an answer that cannot be read: ${parsed.error.message}`);
      if ((parsed.value.flags & 0x8000) === 0) throw new Error("an answer that is a query");
      if (parsed.value.id !== (((input[0] ?? 0) << 8) | (input[1] ?? 0))) throw new Error("another identifier");
    }
  },
};
