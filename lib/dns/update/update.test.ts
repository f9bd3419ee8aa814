import { describe, expect, test } from "vitest";
import type { Zone } from "../authoritative/zone.ts";
import { ZoneBuilder } from "../authoritative/zone-builder.ts";
import { nameFromText } from "../name-bytes.ts";
import { parseRecordData, printRecord } from "../record/text.ts";
import { typeFromText } from "../record/type-name.ts";
import type { WireMessage } from "../wire-message.ts";
import type { WireRecord } from "../wire-record.ts";
import { updateZone } from "./update.ts";

const [classIn, classNone, classAny] = [1, 254, 255];

function record(text: string, recordClass = classIn): WireRecord {
  const [owner = "", ttl = "", type = "", ...data] = text.split(" ");
  const code = type === "ANY" ? 255 : (typeFromText(type) ?? 0);
  const parsed =
    data.length === 0 ? { ok: true as const, data: new Uint8Array(0) } : parseRecordData(code, data.join(" "));
  if (!parsed.ok) throw new Error(text);
  return { owner: nameFromText(owner), type: code, class: recordClass, ttl: Number(ttl), data: parsed.data };
}
const lines = [
  "e. 60 SOA ns.e. admin.e. 7 3600 600 86400 60",
  "e. 60 NS ns.e.",
  "e. 60 MX 1 ns.e.",
  "ns.e. 60 A 192.0.2.1",
  "two.e. 60 A 192.0.2.2",
  "two.e. 60 A 192.0.2.3",
  "two.e. 60 TXT x",
  "alias.e. 60 CNAME ns.e.",
  "deep.in.e. 60 A 192.0.2.4",
];
function zoneOf(): Zone {
  const builder = new ZoneBuilder(nameFromText("e."));
  for (const line of lines) builder.add(record(line));
  const built = builder.finish();
  if (!built.ok) throw new Error(built.message);
  return built.zone;
}

/** Response code and records after an update; prerequisites and updates as [text, class]. */
function outcome(
  updates: readonly (readonly [string, number])[],
  prerequisites: readonly (readonly [string, number])[] = [],
) {
  const zone = zoneOf();
  const message: WireMessage = {
    ...{ id: 1, flags: 0, opcode: 5, rcode: 0, additionals: [] },
    questions: [{ name: zone.apex, type: 6, class: 1 }],
    answers: prerequisites.map(([text, code]) => record(text, code)),
    authorities: updates.map(([text, code]) => record(text, code)),
  };
  const result = updateZone(zone, message, () => true);
  if (result.kind === "refused") return { rcode: result.rcode, serial: 0, records: [] as string[] };
  const after = result.changes.length === 0 ? zone : zone.update(result.changes);
  const records = [...after.records()].map((each) => printRecord(each).replaceAll(/\s+/g, " "));
  return { rcode: 0, serial: after.serial, records };
}
const recordsAt = (owner: string, { records }: { records: string[] }) =>
  records.filter((each) => each.startsWith(`${owner} `)).map((each) => each.slice(owner.length + 1));

describe("RFC 2136 §3.4.2", () => {
  test("an added record joins its set, and gives it its time to live; the serial number goes up", () => {
    const result = outcome([["two.e. 90 A 192.0.2.9", classIn]]);
    expect(result.serial).toBe(8);
    expect(recordsAt("two.e.", result).sort()).toEqual([
      '60 IN TXT "x"',
      "90 IN A 192.0.2.2",
      "90 IN A 192.0.2.3",
      "90 IN A 192.0.2.9",
    ]);
  });

  test("what changes nothing leaves the serial number", () => {
    expect(outcome([["ns.e. 60 A 192.0.2.1", classIn]]).serial).toBe(7);
    expect(
      outcome([
        ["ns.e. 60 A 192.0.2.5", classIn],
        ["ns.e. 0 A 192.0.2.5", classNone],
      ]).serial,
    ).toBe(7);
  });

  test("aliases do not come beside other records, nor those beside aliases", () => {
    expect(
      outcome([
        ["two.e. 60 CNAME ns.e.", classIn],
        ["alias.e. 60 A 192.0.2.1", classIn],
      ]).serial,
    ).toBe(7);
    const replaced = outcome([["alias.e. 60 CNAME two.e.", classIn]]);
    expect(recordsAt("alias.e.", replaced)).toEqual(["60 IN CNAME two.e."]);
    const first = outcome([
      ["two.e. 0 ANY", classAny],
      ["two.e. 60 CNAME ns.e.", classIn],
    ]);
    expect(recordsAt("two.e.", first)).toEqual(["60 IN CNAME ns.e."]);
  });

  test("the apex keeps its SOA record and an NS record", () => {
    const all = outcome([["e. 0 ANY", classAny]]);
    expect(recordsAt("e.", all).map((each) => each.split(" ")[2])).toEqual(["SOA", "NS"]);
    expect(
      outcome([
        ["e. 0 NS", classAny],
        ["e. 0 NS ns.e.", classNone],
        ["e. 0 SOA", classAny],
      ]).serial,
    ).toBe(7);
    const two = outcome([
      ["e. 60 NS two.e.", classIn],
      ["e. 0 NS ns.e.", classNone],
    ]);
    expect(recordsAt("e.", two)).toContain("60 IN NS two.e.");
    expect(recordsAt("e.", two)).not.toContain("60 IN NS ns.e.");
  });

  test("an SOA record counts when it is newer", () => {
    expect(outcome([["e. 60 SOA ns.e. admin.e. 6 1 1 1 1", classIn]]).serial).toBe(7);
    expect(outcome([["e. 60 SOA ns.e. admin.e. 99 1 1 1 1", classIn]]).serial).toBe(99);
  });

  test("records and sets go", () => {
    const one = outcome([["two.e. 0 A 192.0.2.2", classNone]]);
    expect(recordsAt("two.e.", one)).toContain("60 IN A 192.0.2.3");
    expect(recordsAt("two.e.", one)).not.toContain("60 IN A 192.0.2.2");
    expect(recordsAt("two.e.", outcome([["two.e. 0 A", classAny]]))).toEqual(['60 IN TXT "x"']);
    expect(recordsAt("two.e.", outcome([["two.e. 0 ANY", classAny]]))).toEqual([]);
  });
});

describe("RFC 2136 §3.2 and §3.4.1", () => {
  const add = [["new.e. 60 A 192.0.2.9", classIn]] as const;
  test.each([
    ["a name that is there", "two.e. 0 ANY", classAny, 0],
    ["a name that is not", "none.e. 0 ANY", classAny, 3],
    ["a set that is there", "two.e. 0 TXT", classAny, 0],
    ["a set that is not", "two.e. 0 AAAA", classAny, 8],
    ["no such name", "none.e. 0 ANY", classNone, 0],
    ["no such name, but it is there", "two.e. 0 ANY", classNone, 6],
    ["no such set", "two.e. 0 AAAA", classNone, 0],
    ["no such set, but it is there", "two.e. 0 A", classNone, 7],
    ["a set with less than is there", "two.e. 0 A 192.0.2.2", classIn, 8],
    ["the very set", "two.e. 0 TXT x", classIn, 0],
    ["a time to live", "two.e. 5 ANY", classAny, 1],
    ["data where there is none", "two.e. 0 A 192.0.2.2", classAny, 1],
    ["another zone's name", "x.f. 0 ANY", classAny, 10],
    ["a class of its own", "two.e. 0 ANY", 3, 1],
    ["an empty non-terminal is no name in use", "in.e. 0 ANY", classAny, 3],
  ])("prerequisite: %s", (_what, text, recordClass, rcode) => {
    expect(outcome(add, [[text, recordClass]]).rcode).toBe(rcode);
  });

  test.each([
    ["x.f. 60 A 192.0.2.1", classIn, 10],
    ["x.e. 60 TYPE251 \\# 0", classIn, 1],
    ["x.e. 60 A", classAny, 1],
    ["x.e. 60 A 192.0.2.1", classNone, 1],
    ["x.e. 0 A 192.0.2.1", 3, 1],
  ])("update %s of class %i gives code %i, and nothing happens", (text, recordClass, rcode) => {
    expect(outcome([...add, [text, recordClass]]).rcode).toBe(rcode);
  });
});
