import { SeededRandom } from "@tesserae/conformance/seeded-random";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Zone } from "../authoritative/zone.ts";
import { ZoneBuilder } from "../authoritative/zone-builder.ts";
import { Zones } from "../authoritative/zones.ts";
import { nameFromText } from "../name-bytes.ts";
import { printRecord } from "../record/text.ts";
import { parseWireMessage } from "../wire-message.ts";
import type { WireRecord } from "../wire-record.ts";
import { changesOf, condense, differenceBetween, soaOf } from "./difference.ts";
import { type Transferred, TransferReader, typeAxfr, typeIxfr } from "./incoming.ts";
import { Journal } from "./journal.ts";
import { fullTransfer, incrementalTransfer, transferMessages } from "./outgoing.ts";
import { isNewer, nextSerial } from "./serial.ts";
import { withSerial } from "./soa.ts";

const apex = nameFromText("example.");
const soa: WireRecord = {
  ...{ owner: apex, type: 6, class: 1, ttl: 300 },
  data: Uint8Array.of(...nameFromText("ns.example."), ...nameFromText("a.example."), ...new Uint8Array(20).fill(1)),
};

function zoneOf(serial: number, records: readonly WireRecord[]): Zone {
  const builder = new ZoneBuilder(apex);
  builder.add(withSerial(soa, serial));
  for (const each of records) expect(builder.add(each)).toBeUndefined();
  const built = builder.finish();
  if (!built.ok) throw new Error(built.message);
  return built.zone;
}

function address(host: number, value: number, ttl = 60): WireRecord {
  return { owner: nameFromText(`h${host}.example.`), type: 1, class: 1, ttl, data: Uint8Array.of(10, 0, 0, value) };
}

function hosts(serial: number, list: readonly (readonly [host: number, value: number, ttl: number])[]): Zone {
  // One TTL a set (RFC 2181 §5.2), one record of a value.
  const kept = new Map<string, WireRecord>();
  const ttls = new Map<number, number>();
  for (const [host, value, ttl] of list) {
    const same = ttls.get(host) ?? ttl;
    ttls.set(host, same);
    kept.set(`${host} ${value}`, address(host, value, same));
  }
  return zoneOf(serial, [...kept.values()]);
}

const textOf = (zone: Zone): string[] => [...zone.records()].map(printRecord).sort();
const someHosts = fc.array(fc.tuple(fc.nat(5), fc.nat(3), fc.constantFrom(60, 90)), { maxLength: 20 });
const question = (type: number) => ({ name: apex, type, class: 1 });

/** What comes of messages with these records. */
function read(records: Iterable<WireRecord>, have: number | undefined, limit = 65_535): Transferred | undefined {
  const reader = new TransferReader(7, apex, have);
  let result: Transferred | undefined;
  const transfer = { id: 7, question: question(have === undefined ? typeAxfr : typeIxfr), limit };
  for (const message of transferMessages(transfer, records)) {
    expect(message.length).toBeLessThanOrEqual(limit);
    expect(result).toBeUndefined();
    const parsed = parseWireMessage(message);
    if (!parsed.ok) throw new Error(parsed.error.message);
    result = reader.read(parsed.value);
  }
  return result;
}

describe("RFC 1982", () => {
  test("serial numbers wrap around", () => {
    expect(isNewer(2, 1)).toBe(true);
    expect(isNewer(1, 2)).toBe(false);
    expect(isNewer(1, 1)).toBe(false);
    expect(isNewer(0, 0xffffffff)).toBe(true);
    expect(isNewer(0x80000000, 0)).toBe(false);
    expect(isNewer(0, 0x80000000)).toBe(false);
    expect(nextSerial(0xffffffff)).toBe(1);
  });
});

describe("differences", () => {
  test("property: what is between two versions makes the second of the first", () => {
    fc.assert(
      fc.property(someHosts, someHosts, (left, right) => {
        const [before, after] = [hosts(1, left), hosts(2, right)];
        expect(textOf(before.update(changesOf(differenceBetween(before, after))))).toEqual(textOf(after));
      }),
    );
  });

  test("property: RFC 1995 §5: two in one lead as far as one after the other", () => {
    fc.assert(
      fc.property(someHosts, someHosts, someHosts, (one, two, three) => {
        const [first, second, third] = [hosts(1, one), hosts(2, two), hosts(3, three)];
        const both = condense(differenceBetween(first, second), differenceBetween(second, third));
        expect(textOf(first.update(changesOf(both)))).toEqual(textOf(third));
        expect(both.added.length + both.removed.length).toBeLessThanOrEqual(one.length + two.length * 2 + three.length);
      }),
    );
  });
});

describe("transfers", () => {
  test("property: RFC 5936: a zone comes out as it went in, in messages of any size", () => {
    fc.assert(
      fc.property(someHosts, fc.integer({ min: 200, max: 2000 }), (list, limit) => {
        const zone = hosts(9, list);
        const result = read(fullTransfer(zone), undefined, limit);
        if (result?.kind !== "zone") throw new Error(JSON.stringify(result));
        expect(textOf(result.zone)).toEqual(textOf(zone));
      }),
    );
  });

  test("property: RFC 1995: so do the steps to it, and a whole zone in their place", () => {
    fc.assert(
      fc.property(someHosts, someHosts, someHosts, fc.integer({ min: 200, max: 900 }), (one, two, three, limit) => {
        const [first, second, third] = [hosts(1, one), hosts(2, two), hosts(3, three)];
        const steps = [differenceBetween(first, second), differenceBetween(second, third)];
        const result = read(incrementalTransfer(third, steps), 1, limit);
        if (result?.kind !== "differences") throw new Error(JSON.stringify(result));
        let zone = first;
        for (const each of result.differences) zone = zone.update(changesOf(each));
        expect(textOf(zone)).toEqual(textOf(third));
        expect(read(fullTransfer(third), 1, limit)?.kind).toBe("zone");
      }),
    );
  });

  test("RFC 1995 §2: one SOA record with our serial number says that there is nothing newer", () => {
    expect(read([soaOf(zoneOf(5, []))], 5)).toEqual({ kind: "current" });
    expect(read([soaOf(zoneOf(4, []))], 5)).toEqual({ kind: "current" });
    expect(read([soaOf(zoneOf(6, []))], 5)).toBeUndefined();
  });

  test("a record that is longer than messages usually are makes a longer one", () => {
    const long = { ...address(1, 1), type: 65_400, data: new Uint8Array(30_000) };
    const zone = zoneOf(1, [long, address(2, 2)]);
    const transfer = { id: 1, question: question(typeAxfr), limit: 65_535, usual: 16_384 };
    const lengths = [...transferMessages(transfer, fullTransfer(zone))].map((each) => each.length);
    expect(lengths.length).toBe(2);
    expect(lengths[1]).toBeGreaterThan(30_000);
  });

  test("what is no transfer is refused in words", () => {
    const [first, second] = [withSerial(soa, 1), withSerial(soa, 2)];
    const third = withSerial(soa, 3);
    const host = address(1, 1);
    const why = (records: readonly WireRecord[], have?: number): string => {
      const result = read(records, have);
      return result?.kind === "failed" ? result.why : String(result?.kind);
    };
    expect(why([host])).toBe("the first record is no SOA record");
    expect(why([second, host, first])).toBe("the last SOA record is not the first");
    expect(why([second, second, host])).toBe("records after the end");
    expect(why([second, { ...host, owner: nameFromText("h.elsewhere.") }, second])).toContain("not in the zone");
    expect(why([second, { ...first, owner: nameFromText("x.example.") }, second])).toContain(
      "an SOA record of x.example",
    );
    expect(why([third, first, second, third, third], 1)).toContain("does not begin where the last one ended");
    expect(why([third, second, first, third], 2)).toContain("leads backwards");
    expect(why([second, host])).toBe("undefined");
  });

  test("too many records, or bytes, end it", () => {
    const zone = hosts(1, [
      [1, 1, 60],
      [2, 2, 60],
      [3, 3, 60],
    ]);
    const [message] = transferMessages({ id: 7, question: question(typeAxfr), limit: 65_535 }, fullTransfer(zone));
    const parsed = parseWireMessage(message!);
    if (!parsed.ok) throw new Error("unreadable");
    const why = (bounds: object) => new TransferReader(7, apex, undefined, bounds).read(parsed.value);
    expect(why({ records: 4 })).toMatchObject({ kind: "failed", why: "more than 4 records" });
    expect(why({ bytes: 90 })).toMatchObject({ kind: "failed", why: "more than 90 bytes" });
    expect(why({ records: 5 })).toMatchObject({ kind: "zone" });
  });
});

describe("the journal", () => {
  test("keeps what leads from each version to the newest", () => {
    const zones = new Zones();
    const journal = new Journal({ zones });
    const versions = [1, 2, 3].map((serial) => hosts(serial, [[serial, serial, 60]]));
    for (const zone of versions) zones.replace(zone);
    expect(journal.since(apex, 1)?.length).toBe(2);
    expect(journal.since(apex, 2)?.length).toBe(1);
    expect(journal.since(apex, 3)).toBeUndefined();
    expect(journal.since(apex, 0)).toBeUndefined();
    const all = journal.condensed(apex);
    expect(textOf(versions[0]!.update(changesOf(all!)))).toEqual(textOf(versions[2]!));
  });

  test("forgets when a version is not newer, and goes on after a zone was away", () => {
    const zones = new Zones();
    const journal = new Journal({ zones });
    const [one, two] = [hosts(1, []), hosts(2, [])];
    zones.replace(one);
    zones.replace(two);
    zones.suspend(apex);
    zones.replace(two);
    expect(journal.since(apex, 1)?.length).toBe(1);
    zones.replace(one);
    expect(journal.since(apex, 1)).toBeUndefined();
  });

  test("is bounded: the oldest goes first", () => {
    const zones = new Zones();
    const journal = new Journal({ zones, zoneLimit: 1000 });
    const random = new SeededRandom(1);
    for (let serial = 1; serial < 50; serial++) zones.replace(hosts(serial, [[random.uint32() % 9, serial % 4, 60]]));
    expect(journal.size(apex)).toBeLessThanOrEqual(1000);
    expect(journal.since(apex, 1)).toBeUndefined();
    expect(journal.since(apex, 48)?.length).toBe(1);
  });
});
