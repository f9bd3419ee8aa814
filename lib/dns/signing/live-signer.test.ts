import { IpAddress } from "@tesserae/device/address";
import { createCrypto } from "@tesserae/node/crypto";
import { Scheduler } from "@tesserae/time/scheduler";
import { sleep } from "@tesserae/time/sleep";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { runVirtual } from "@tesserae/time/virtual-run";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Authoritative } from "../authoritative/authoritative.ts";
import { ZoneBuilder } from "../authoritative/zone-builder.ts";
import { Zones } from "../authoritative/zones.ts";
import { createZoneKey, verifyRrset } from "../dnssec/signature.ts";
import { compareNames, isBelow, lowerName, nameFromText, nameToText } from "../name-bytes.ts";
import { canonicalData } from "../record/data.ts";
import { bitmapTypes } from "../record/type-bitmap.ts";
import { parseRecordData } from "../record/text.ts";
import { LiveZoneSigner } from "../transfer/live-zone-signer.ts";
import { parseWireMessage, type WireMessage } from "../wire-message.ts";
import { WireMessageWriter } from "../wire-message-writer.ts";
import type { WireRecord } from "../wire-record.ts";
import { rcode, recordType } from "../wire.ts";
import { alwaysKeys } from "./key-schedule.ts";
import { nameBehind } from "./name-behind.ts";

const crypto = createCrypto();
const apex = nameFromText("e.");
const origin = 1_800_000_000_000;
const key = createZoneKey(crypto.importKey("ed25519", new Uint8Array(32).fill(7)), true);
const lines: readonly (readonly [string, number, string])[] = [
  ["e.", 6, "ns.e. admin.e. 1 100 20 500 60"],
  ["e.", 2, "ns.e."],
  ["ns.e.", 1, "192.0.2.1"],
  ["www.e.", 1, "192.0.2.2"],
  ["www.e.", 16, '"x"'],
  ["*.w.e.", 16, '"wild"'],
  ["alias.e.", 5, "www.e."],
  ["lost.e.", 5, "gone.e."],
  ["a.b.c.e.", 1, "192.0.2.3"],
  ["old.e.", 39, "w.e."],
  ["sub.e.", 2, "ns.sub.e."],
  ["ns.sub.e.", 1, "192.0.2.4"],
  ["secure.e.", 2, "ns.elsewhere."],
  ["secure.e.", 43, `1 13 2 ${"00".repeat(32)}`],
];

function start(memory?: number) {
  const builder = new ZoneBuilder(apex);
  for (const [owner, type, text] of lines) {
    const parsed = parseRecordData(type, text);
    if (!parsed.ok) throw new Error(text);
    builder.add({ owner: nameFromText(owner), type, class: 1, ttl: 60, data: parsed.data });
  }
  const built = builder.finish();
  if (!built.ok) throw new Error(built.message);
  const clock = new VirtualClock({ origin });
  const timers = new Scheduler(clock);
  const zones = new Zones();
  const signer = new LiveZoneSigner({
    ...{ apex, zones, crypto, timers, keys: alwaysKeys([key]) },
    ...(memory === undefined ? {} : { memory }),
  });
  signer.publish(built.zone);
  const answerer = new Authoritative({ zones });
  const room = new Uint8Array(65_535);
  const ask = (name: Uint8Array, type: number, compactOk = false): WireMessage => {
    const query = new Uint8Array(600);
    const writer = new WireMessageWriter(query);
    writer.question({ name, type, class: 1 });
    let length = writer.finish(1, 0, 0);
    query.set([0, 0, 41, 0x10, 0, 0, 0, compactOk ? 0xc0 : 0x80, 0, 0, 0], length);
    length += 11;
    query[11] = 1;
    const size = answerer.answer(query, 0, length, room, 0, 65_535, "tcp", IpAddress.loopback4);
    const parsed = parseWireMessage(room, 0, size);
    if (!parsed.ok) throw new Error(JSON.stringify(parsed));
    return parsed.value;
  };
  return { zones, signer, ask, clock, timers };
}

const text = (name: string) => nameFromText(name);

/** Checks every signature, and that every set of the zone's own has one. Gives the NSEC records. */
function checked(message: WireMessage, now = origin / 1000): WireRecord[] {
  const sets = new Map<string, WireRecord[]>();
  const all = [...message.answers, ...message.authorities];
  for (const record of all) {
    if (record.type === recordType.RRSIG) continue;
    const id = `${nameToText(lowerName(record.owner))} ${record.type}`;
    sets.set(id, [...(sets.get(id) ?? []), record]);
  }
  for (const set of sets.values()) {
    const [{ owner, type }] = set as [WireRecord];
    const isReferral = type === recordType.NS && message.answers.length === 0;
    const isMade = type === recordType.CNAME && set.length === 1 && isBelow(owner, text("old.e."));
    const signatures = all.filter((each) => {
      return (
        each.type === recordType.RRSIG &&
        each.data[0] === type >>> 8 &&
        each.data[1] === (type & 255) &&
        compareNames(each.owner, owner) === 0
      );
    });
    expect(signatures.length, `${nameToText(owner)} ${type}`).toBe(isReferral || isMade ? 0 : 1);
    for (const { data } of signatures) {
      const rrset = { owner: lowerName(owner), type, data: set.map((each) => canonicalData(type, each.data)) };
      expect(verifyRrset(crypto, data, rrset, apex, [key.data], now)).toBeUndefined();
    }
  }
  return all.filter(({ type }) => type === recordType.NSEC);
}

const typesIn = (nsec: WireRecord): number[] => {
  let end = 0;
  while ((nsec.data[end] ?? 0) !== 0) end += (nsec.data[end] ?? 0) + 1;
  return bitmapTypes(nsec.data, end + 1, nsec.data.length);
};

describe("RFC 9824: denials that name nothing else", () => {
  test.each([
    ["none.e.", 1, [46, 47, 128]],
    ["x.none.e.", 1, [46, 47, 128]],
    ["www.e.", 28, [1, 16, 46, 47]],
    ["b.c.e.", 1, [46, 47]],
    ["any.w.e.", 1, [16, 46, 47]],
    ["sub.e.", 43, [2, 46, 47]],
    ["x.sub.e.", 1, [2, 46, 47]],
    ["lost.e.", 1, [46, 47, 128]],
    ["e.", 1, [2, 6, 46, 47, 48]],
  ])("%s type %d: by the types %j", (name, type, types) => {
    const message = start().ask(text(name), type);
    const [nsec, ...more] = checked(message);
    expect(more).toEqual([]);
    expect(message.rcode).toBe(rcode.noError);
    expect(typesIn(nsec!)).toEqual(types);
    expect(nsec!.data.subarray(0, nsec!.owner.length + 2)).toEqual(Uint8Array.of(1, 0, ...lowerName(nsec!.owner)));
    expect(nsec!.ttl).toBe(60);
  });

  test("§3.1, §5.1: NXDOMAIN is for who knows what it means here", () => {
    const { ask } = start();
    expect(ask(text("none.e."), 1, true).rcode).toBe(rcode.nameError);
    expect(ask(text("www.e."), 28, true).rcode).toBe(rcode.noError);
  });

  test("§3.3, §3.4: wildcards and questions for NSEC are answered as if the name were there", () => {
    const { ask } = start();
    const wild = ask(text("a.b.w.e."), 16);
    expect(checked(wild)).toEqual([]);
    expect(wild.answers[1]?.data[3]).toBe(4);
    for (const name of ["none.e.", "www.e."]) {
      const nsec = ask(text(name), recordType.NSEC);
      expect(nsec.rcode).toBe(rcode.noError);
      expect(nsec.answers.map(({ type }) => type)).toEqual([47, 46]);
      expect(checked(nsec)).toHaveLength(1);
    }
  });
});

test("every answer is signed, whatever is asked for", () => {
  const { ask } = start();
  const label = fc.constantFrom("www", "w", "a", "b", "c", "sub", "ns", "alias", "old", "secure", "none", "lost", "*");
  fc.assert(
    fc.property(
      fc.array(label, { maxLength: 4 }),
      fc.constantFrom(1, 2, 5, 6, 15, 16, 39, 43, 47, 48, 255),
      (labels, type) => {
        const name = [...labels, "e."].join(".");
        const message = ask(text(name), type);
        expect([rcode.noError, 6]).toContain(message.rcode);
        const denials = checked(message);
        // Where the type asked for is not there, the record at its name says so.
        const isReferral = (message.flags & 0x400) === 0;
        for (const nsec of denials) if (type !== 47 && !isReferral) expect(typesIn(nsec)).not.toContain(type);
      },
    ),
    { numRuns: 400 },
  );
});

test("what was signed is remembered, and made-up names do not push out what the zone has", () => {
  const { ask, signer } = start(65_536);
  ask(text("www.e."), 1);
  const before = signer.made;
  for (let index = 0; index < 500; index++) ask(text(`made-up${index}.e.`), 1);
  // The SOA record is signed once.
  expect(signer.made).toBe(before + 501);
  // In other letters, so that the answer is not one that is remembered as a whole.
  ask(text("WWW.e."), 1);
  ask(text("wWw.e."), 1);
  expect(signer.made).toBe(before + 501);
  ask(text("made-up0.e."), 28);
  expect(signer.made).toBe(before + 502);
});

test("signatures are made anew in time, also of what is remembered as a whole, and by other keys", async () => {
  const { ask, signer, clock, timers } = start();
  const run = async (): Promise<void> => {
    for (let day = 0; day < 10; day++) {
      // Twice, so that it is remembered.
      for (let again = 0; again < 3; again++) checked(ask(text("www.e."), 1), timers.wall() / 1000);
      await sleep(timers, 86_400_000);
    }
  };
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
  await runVirtual({ clock, schedulers: [timers], turn, limit: 11 * 86_400_000 }, run());
  const other = createZoneKey(crypto.importKey("ed25519", new Uint8Array(32).fill(8)), true);
  signer.setKeys(alwaysKeys([other]));
  const keys = ask(apex, recordType.DNSKEY);
  expect(keys.answers[0]?.data).toEqual(other.data);
  const signature = ask(text("www.e."), 1).answers[1];
  expect(((signature?.data[16] ?? 0) << 8) | (signature?.data[17] ?? 0)).toBe(other.tag);
  signer.close();
});

describe("RFC 4471: the name behind another", () => {
  const label = fc.uint8Array({ minLength: 1, maxLength: 63 });
  const name = fc.array(label, { maxLength: 8 }).map((labels) => {
    let whole = Uint8Array.of(0);
    for (const each of labels) {
      if (each.length + 1 + whole.length <= 255) whole = Uint8Array.of(each.length, ...each, ...whole);
    }
    return lowerName(whole);
  });

  test("comes after it, and nothing comes between", () => {
    fc.assert(
      fc.property(name, name, (one, other) => {
        const next = nameBehind(one);
        if (next.length === 1) return;
        expect(compareNames(one, next)).toBeLessThan(0);
        const isBetween = compareNames(one, other) < 0 && compareNames(other, next) < 0;
        expect(isBetween).toBe(false);
      }),
    );
  });

  test("when the name is as long as a name can be", () => {
    const longest = (last: number) => {
      const fill = (length: number) => [length, ...new Uint8Array(length).fill(0x61)];
      return Uint8Array.of(62, ...new Uint8Array(61).fill(0xff), last, ...fill(63), ...fill(63), ...fill(61), 0);
    };
    const name254 = longest(0x40);
    expect(name254.length).toBe(254);
    expect(nameBehind(name254).length).toBe(255);
    const full = Uint8Array.of(63, ...new Uint8Array(62).fill(0x62), 0x40, ...name254.subarray(63, 254));
    expect(full.length).toBe(255);
    expect(nameBehind(full)[63]).toBe(0x5b);
    full.fill(0xff, 1, 64);
    // Below the parent nothing comes behind it: the parent's next.
    const beside = nameBehind(full);
    expect(compareNames(full, beside)).toBeLessThan(0);
    expect(beside.length).toBeLessThan(255);
  });
});
