import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compareNames, nameFromText, nameToText } from "../name-bytes.ts";
import { printRecord } from "../record/text.ts";
import type { WireRecord } from "../wire-record.ts";
import { type Zone, type ZoneChange } from "./zone.ts";
import { ZoneBuilder } from "./zone-builder.ts";
import { loadZone } from "./zone-file.ts";

const apex = nameFromText("example.");

function zoneOf(text: string): Zone {
  const loaded = loadZone(apex, `@ 5 SOA ns.example. admin.example. 1 2 3 4 5\n${text}`);
  if (!loaded.ok) throw new Error(loaded.errors.join());
  return loaded.zone;
}

const texts = (zone: Zone): string[] => Array.from(zone.records(), printRecord);

/** What is in a zone, whatever it went through. */
const content = (zone: Zone): string[] => texts(zone).sort();

describe("a zone", () => {
  it("gives its records with the SOA record first, names in canonical order (RFC 4034 §6.1)", () => {
    const zone = zoneOf(
      "z A 1.2.3.4\na.z A 1.2.3.4\nZ.a A 1.2.3.4\n* A 1.2.3.4\nyljkjljk.a A 1.2.3.4\n\\001.z A 1.2.3.4\n",
    );
    const owners = Array.from(zone.records(), (each) => each.owner);
    expect([...zone.records()][0]?.type).toBe(6);
    expect(owners.map((each) => nameToText(each))).toEqual([
      ...[
        "example.",
        "\\*.example.",
        "yljkjljk.a.example.",
        "z.a.example.",
        "z.example.",
        "\\001.z.example.",
        "a.z.example.",
      ].map((each) => each.replace("\\*", "*")),
    ]);
    for (let index = 1; index < owners.length; index++) {
      expect(compareNames(owners[index - 1]!, owners[index]!)).toBeLessThanOrEqual(0);
    }
  });

  it("has a record once, however often it comes", () => {
    expect(zoneOf("a A 1.2.3.4\na A 1.2.3.4\na A 1.2.3.5\n").recordsOf(nameFromText("A.example.")).length).toBe(2);
  });

  it("gives all records of a set the time to live of the last (RFC 2181 §5.2)", () => {
    const zone = zoneOf("a 10 A 1.2.3.4\na 20 A 1.2.3.5\n");
    expect(zone.recordsOf(nameFromText("a.example.")).map((each) => each.ttl)).toEqual([20, 20]);
  });

  it("knows empty non-terminals, and forgets them with what is below", () => {
    const zone = zoneOf("a.b.c A 1.2.3.4\n");
    const b = nameFromText("b.c.example.");
    expect(zone.hasName(b)).toBe(true);
    const [record] = zone.recordsOf(nameFromText("a.b.c.example."));
    const less = zone.update([{ kind: "remove", record: record! }]);
    expect(less.hasName(b)).toBe(false);
    expect(zone.hasName(b)).toBe(true);
    expect(less.update([{ kind: "add", record: record! }]).hasName(b)).toBe(true);
  });

  it("keeps its SOA record, and takes a new one in its place", () => {
    const zone = zoneOf("");
    const [soa] = zone.recordsOf(apex, 6);
    expect(zone.update([{ kind: "remove", record: soa! }]).serial).toBe(1);
    const data = soa!.data.slice();
    data[data.length - 17] = 9;
    const next = zone.update([{ kind: "add", record: { ...soa!, data } }]);
    expect(next.serial).toBe(9);
    expect(next.recordsOf(apex, 6)).toHaveLength(1);
  });

  it("says what is wrong with a record", () => {
    const builder = new ZoneBuilder(apex);
    const good = { owner: nameFromText("a.example."), type: 1, class: 1, ttl: 1, data: new Uint8Array(4) };
    expect(builder.add(good)).toBeUndefined();
    expect(builder.add({ ...good, data: new Uint8Array(5) })).toContain("5 bytes");
    expect(builder.add({ ...good, owner: nameFromText("a.test.") })).toContain("not in the zone");
    expect(builder.add({ ...good, class: 3 })).toContain("class 3");
    expect(builder.add({ ...good, owner: Uint8Array.of(1) })).toContain("owner");
    expect(builder.add({ ...good, type: 255 })).toContain("no type of records");
    expect(builder.add({ ...good, ttl: -1 })).toContain("time to live");
    expect(builder.finish()).toEqual({ ok: false, message: "example.: no SOA record at the apex" });
  });

  it("is not loaded with errors, which name file and line", () => {
    const loaded = loadZone(apex, "@ SOA a. b. 1 2 3 4 5\nx A 1.2.3\nc CNAME d\nc A 1.2.3.4\n", { source: "f.zone" });
    expect(loaded.ok ? [] : loaded.errors.map((each) => each.split(":").slice(0, 2).join(":"))).toEqual(["f.zone:2"]);
    const beside = loadZone(apex, "@ SOA a. b. 1 2 3 4 5\nc CNAME d\nc A 1.2.3.4\n");
    expect(beside.ok ? [] : beside.errors).toEqual(["zone: c.example. has a CNAME record and one of type A"]);
  });
});

describe("changes of a zone", () => {
  const label = fc.constantFrom("a", "b", "c", "*", "aa", "A");
  const owner = fc.array(label, { maxLength: 4 }).map((labels) => nameFromText([...labels, "example."].join(".")));
  const record: fc.Arbitrary<WireRecord> = fc.record({
    owner,
    type: fc.constantFrom(1, 16, 65_400),
    class: fc.constant(1),
    ttl: fc.constant(60),
    data: fc.integer({ min: 0, max: 3 }).map((last) => Uint8Array.of(3, 0, 0, last)),
  });
  const change: fc.Arbitrary<ZoneChange> = fc.record({ kind: fc.constantFrom("add", "remove"), record });

  it("come to the same as a zone made of what remains, and leave the zone before as it was", () => {
    fc.assert(
      fc.property(fc.array(fc.array(change, { maxLength: 12 }), { maxLength: 6 }), (steps) => {
        let zone = zoneOf("");
        const model = new Map(texts(zone).map((text) => [text, true]));
        const history: (readonly [Zone, string[]])[] = [];
        for (const changes of steps) {
          history.push([zone, content(zone)]);
          zone = zone.update(changes);
          for (const { kind, record } of changes) {
            const text = printRecord({ ...record, owner: nameFromText(nameToText(record.owner).toLowerCase()) });
            if (kind === "add") model.set(text, true);
            else model.delete(text);
          }
        }
        expect(content(zone)).toEqual([...model.keys()].sort());
        expect(content(zone.compact())).toEqual(content(zone));
        expect(texts(zone.compact())).toEqual(texts(zone));
        for (const [before, was] of history) expect(content(before)).toEqual(was);
      }),
      { numRuns: 25 },
    );
  });

  it("of one zone in two ways do not disturb each other", () => {
    const zone = zoneOf("a A 1.2.3.4\n");
    const add = (text: string): ZoneChange => ({
      kind: "add",
      record: { owner: nameFromText(text), type: 1, class: 1, ttl: 1, data: Uint8Array.of(1, 2, 3, 4) },
    });
    const [one, two] = [zone.update([add("one.example.")]), zone.update([add("two.example.")])];
    expect([one, two].map((each) => each.hasName(nameFromText("one.example.")))).toEqual([true, false]);
    expect([one, two].map((each) => each.hasName(nameFromText("two.example.")))).toEqual([false, true]);
    expect(zone.size).toBe(2);
  });

  it("cost little memory: what does not change is shared", () => {
    const zone = zoneOf("$GENERATE 1-10000 host$ A 10.0.0.1\n");
    const record = { owner: nameFromText("new.example."), type: 1, class: 1, ttl: 1, data: Uint8Array.of(1, 2, 3, 4) };
    const before = process.memoryUsage().arrayBuffers;
    const kept: Zone[] = [];
    for (let index = 0; index < 20; index++) kept.push(zone.update([{ kind: "add", record }]));
    const each = (process.memoryUsage().arrayBuffers - before) / kept.length;
    expect(kept.at(-1)?.size).toBe(zone.size + 1);
    // The whole zone is ten times that.
    expect(each).toBeLessThan(100_000);
  });
});
