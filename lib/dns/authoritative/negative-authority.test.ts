import { IpAddress } from "@tesserae/device/address";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { lowerName, nameFromText } from "../name-bytes.ts";
import { parseRecordData } from "../record/text.ts";
import { messageFlag, recordType } from "../wire.ts";
import { parseWireMessage, type WireMessage } from "../wire-message.ts";
import { Authoritative } from "./authoritative.ts";
import { ZoneBuilder } from "./zone-builder.ts";
import type { Zone } from "./zone.ts";
import { Zones } from "./zones.ts";

const client = IpAddress.loopback4;
const signature = (covered: string, apex: string): string =>
  `${covered} 13 2 300 20360101000000 20260101000000 12345 ${apex} ${"A".repeat(86)}==`;

function zoneOf(apex: string, soa: string, others: readonly (readonly [string, number, string])[]): Zone {
  const builder = new ZoneBuilder(nameFromText(apex));
  const records = [[apex, recordType.SOA, soa], [apex, recordType.NS, "ns.elsewhere."], ...others] as const;
  for (const [owner, type, text] of records) {
    const parsed = parseRecordData(type, text);
    if (!parsed.ok) throw new Error(text);
    const record = { owner: nameFromText(owner), type, class: 1, ttl: 3600, data: parsed.data };
    expect(builder.add(record)).toBeUndefined();
  }
  const built = builder.finish();
  if (!built.ok) throw new Error(built.message);
  return built.zone;
}

function ask(zones: Zones, name: string, type: number, dnssecOk: boolean, limit = 4096): WireMessage {
  const opt = [0, 0, 41, 16, 0, 0, 0, dnssecOk ? 0x80 : 0, 0, 0, 0];
  const query = Uint8Array.of(
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
    1,
    ...nameFromText(name),
    type >>> 8,
    type,
    0,
    1,
    ...opt,
  );
  const out = new Uint8Array(4096);
  const length = new Authoritative({ zones }).answer(query, 0, query.length, out, 0, limit, "tcp", client);
  const parsed = parseWireMessage(out, 0, length);
  if (!parsed.ok) throw new Error("no message");
  return parsed.value;
}

describe("RFC 2308 §2: the SOA record of a negative answer", () => {
  const names = ["ns.a.example.", "A.Example.", "ns.EXAMPLE.", "example.", "ns.b.example.", "far.away.", "."];
  for (const apex of ["a.example.", "example.", "."]) {
    test(`of ${apex}, whatever its names are and however the name asked for is written`, () => {
      fc.assert(
        fc.property(
          fc.constantFrom(...names),
          fc.constantFrom(...names),
          fc.constantFrom("x", "X.y", "ns", "deep.ns.x"),
          fc.boolean(),
          fc.boolean(),
          (first, second, label, upper, dnssecOk) => {
            const text = `${first} ${second} 1 2 3 4 60`;
            const zones = new Zones();
            zones.replace(zoneOf(apex, text, [[apex, recordType.RRSIG, signature("SOA", apex)]]));
            const name = `${label}.${apex === "." ? "" : upper ? apex.toUpperCase() : apex}`;
            const answer = ask(zones, name, recordType.A, dnssecOk);
            expect(answer.rcode).toBe(3);
            const [soa, rrsig] = answer.authorities;
            expect(answer.authorities).toHaveLength(dnssecOk ? 2 : 1);
            const parsed = parseRecordData(recordType.SOA, text);
            if (!parsed.ok) throw new Error(text);
            for (const record of answer.authorities) {
              expect(lowerName(record.owner)).toEqual(lowerName(nameFromText(apex)));
              expect(record.ttl).toBe(60);
            }
            // Names may take over the case of the question's.
            expect(lowerName(soa!.data.slice(0, -20))).toEqual(lowerName(parsed.data.slice(0, -20)));
            expect(soa!.data.slice(-20)).toEqual(parsed.data.slice(-20));
            if (dnssecOk) expect(rrsig!.type).toBe(recordType.RRSIG);
          },
        ),
      );
    });
  }

  test("one that does not fit leaves a truncated answer without it", () => {
    const zones = new Zones();
    const long = Array.from({ length: 3 }, (_, index) => String(index).repeat(63)).join(".");
    const soa = `${long}.x. ${long}.y. 1 2 3 4 60`;
    zones.replace(zoneOf("a.example.", soa, [["a.example.", recordType.RRSIG, signature("SOA", "a.example.")]]));
    expect(ask(zones, "x.a.example.", recordType.A, true).authorities).toHaveLength(2);
    const cut = ask(zones, "x.a.example.", recordType.A, true, 512);
    expect(cut.flags & messageFlag.truncated).not.toBe(0);
    expect(cut.authorities).toHaveLength(0);
  });

  test("a zone that changes has another one, and other proofs", () => {
    const nsec = (next: string): string => `${next} A RRSIG NSEC`;
    const before = zoneOf("a.example.", "ns.a.example. admin.a.example. 1 2 3 4 60", [
      ["a.example.", recordType.NSEC, nsec("m.a.example.")],
      ["m.a.example.", recordType.NSEC, nsec("a.example.")],
      ["m.a.example.", recordType.A, "192.0.2.1"],
    ]);
    const zones = new Zones();
    zones.replace(before);
    const shown = (): string[] =>
      ask(zones, "z.a.example.", recordType.A, true).authorities.map(
        ({ owner, type, data }) => `${Buffer.from(owner).toString("latin1")} ${type} ${data.length}`,
      );
    const first = shown();
    expect(first).toEqual(["\x01a\x07example\0 6 51", "\x01m\x01a\x07example\0 47 19", "\x01a\x07example\0 47 21"]);
    const data = parseRecordData(recordType.SOA, "other.ns.a.example. admin.a.example. 2 2 3 4 30");
    const star = parseRecordData(recordType.NSEC, nsec("m.a.example."));
    if (!data.ok || !star.ok) throw new Error("records");
    const record = (owner: string, type: number, bytes: Uint8Array) => ({
      ...{ owner: nameFromText(owner), type, class: 1, ttl: 3600 },
      data: bytes,
    });
    zones.replace(
      before.update([
        { kind: "add", record: record("a.example.", recordType.SOA, data.data) },
        { kind: "add", record: record("!.a.example.", recordType.NSEC, star.data) },
      ]),
    );
    // `!` sorts in front of `*`, which its NSEC record covers from now on.
    expect(shown()).toEqual([
      "\x01a\x07example\0 6 57",
      "\x01m\x01a\x07example\0 47 19",
      "\x01!\x01a\x07example\0 47 21",
    ]);
  });
});
