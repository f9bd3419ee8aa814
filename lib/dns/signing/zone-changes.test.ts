import { createCrypto } from "@tesserae/node/crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Zone, ZoneChange } from "../authoritative/zone.ts";
import { ZoneBuilder } from "../authoritative/zone-builder.ts";
import { createZoneKey, type ZoneKey } from "../dnssec/signature.ts";
import { signZone, type SignZoneOptions } from "../dnssec/sign-zone.ts";
import { verifyZone } from "../dnssec/verify-zone.ts";
import { lowerName, nameFromText } from "../name-bytes.ts";
import { parseRecordData, printRecord } from "../record/text.ts";
import { recordType } from "../wire.ts";
import type { WireRecord } from "../wire-record.ts";
import { alwaysKeys, keysAt } from "./key-schedule.ts";
import type { SigningTerms } from "./set-signatures.ts";
import { signedChanges } from "./zone-changes.ts";

const crypto = createCrypto();
const apex = nameFromText("e.");
const now = 1_800_000_000;
const validity = { inception: now - 3600, expiration: now + 1_000_000 };
const zoneKey = (
  byte: number,
  isEntryPoint: boolean,
  algorithm: "ed25519" | "ecdsa-p256-sha256" = "ed25519",
): ZoneKey => createZoneKey(crypto.importKey(algorithm, new Uint8Array(32).fill(byte)), isEntryPoint);
const keys = [zoneKey(1, true), zoneKey(2, false)];
const nsec3 = { iterations: 1, salt: Uint8Array.of(1, 2), optOut: false };
const kinds: Readonly<Record<string, Partial<SignZoneOptions>>> = {
  NSEC: {},
  "NSEC and ZONEMD": { zonemd: 1 },
  NSEC3: { nsec3 },
  "NSEC3 with opt-out": { nsec3: { ...nsec3, optOut: true } },
};

function terms(zoneKeys: readonly ZoneKey[] = keys, more: Partial<SigningTerms> = {}): SigningTerms {
  const set = keysAt(alwaysKeys(zoneKeys), now);
  const common = { crypto, apex, keys: set, now, inception: validity.inception };
  return { ...common, expiration: () => validity.expiration, renewBefore: now + 1000, ...more };
}

function record(owner: string, type: number, text: string, ttl = 60): WireRecord {
  const parsed = parseRecordData(type, text);
  if (!parsed.ok) throw new Error(text);
  return { owner: nameFromText(owner), type, class: 1, ttl, data: parsed.data };
}

function built(records: Iterable<WireRecord>): Zone {
  const builder = new ZoneBuilder(apex);
  for (const each of records) builder.add(each);
  const zone = builder.finish();
  if (!zone.ok) throw new Error(zone.message);
  return zone.zone;
}

const soa = (serial: number) => record("e.", recordType.SOA, `ns.e. admin.e. ${serial} 100 20 500 30`);
const base = [soa(1), record("e.", recordType.NS, "ns.e."), record("ns.e.", recordType.A, "192.0.2.1")];

/** What is there beside signatures, in text. */
function unsigned(zone: Zone): string[] {
  return [...zone.records()]
    .filter(({ type }) => type !== recordType.RRSIG)
    .map((each) => printRecord(each))
    .sort();
}

const labels = ["a", "b", "c", "*"];
const owners = labels.flatMap((one) => [
  `${one}.e.`,
  ...labels.flatMap((two) => [`${two}.${one}.e.`, `a.${two}.${one}.e.`]),
]);
const contents: readonly (readonly [number, string])[] = [
  [recordType.A, "192.0.2.1"],
  [recordType.A, "192.0.2.2"],
  [recordType.TXT, '"x"'],
  [recordType.NS, "ns.elsewhere."],
  [recordType.DS, "1 13 2 00"],
  [recordType.DNAME, "other."],
];
const change = fc.record({
  owner: fc.constantFrom(...owners),
  content: fc.constantFrom(...contents),
  kind: fc.constantFrom("add" as const, "remove" as const),
  ttl: fc.constantFrom(60, 61),
});

describe.each(Object.keys(kinds))("a zone with %s stays signed", (kind) => {
  const options: SignZoneOptions = { keys, ...validity, ...kinds[kind] };
  const isOptOut = options.nsec3?.optOut === true;

  test("whatever changes, as if it were signed as a whole", () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(change, { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 5 }),
        (rounds) => {
          let plain = built(base);
          let zone = built(signZone(crypto, plain.records(), apex, options));
          for (const [index, round] of rounds.entries()) {
            const changes: ZoneChange[] = round.map(({ kind: what, owner, content: [type, text], ttl }) => {
              return { kind: what, record: record(owner, type, text, ttl) };
            });
            changes.push({ kind: "add", record: soa(index + 2) });
            const all = signedChanges(terms(), zone, { plain: changes, optOut: isOptOut });
            zone = zone.update(all!);
            plain = plain.update(changes);
            const whole = built(signZone(crypto, plain.records(), apex, options));
            expect(verifyZone(crypto, zone.records(), apex, now)).toEqual([]);
            expect(unsigned(zone)).toEqual(unsigned(whole));
            expect(zone.size).toBe(whole.size);
          }
        },
      ),
      { numRuns: 12 },
    );
  });

  test("and only what has to is made anew", () => {
    const many = Array.from({ length: 200 }, (_, host) => record(`h${host}.e.`, recordType.A, "192.0.2.9"));
    const zone = built(signZone(crypto, [...base, ...many], apex, options));
    const changes: ZoneChange[] = [
      { kind: "add", record: record("h7.e.", recordType.A, "192.0.2.10") },
      { kind: "add", record: soa(2) },
    ];
    const all = signedChanges(terms(), zone, { plain: changes, optOut: isOptOut })!;
    const signatures = all.filter(({ kind: what, record: each }) => what === "add" && each.type === recordType.RRSIG);
    // Of the addresses and of the SOA record, and of the digest where there is one.
    expect(signatures).toHaveLength(options.zonemd === undefined ? 2 : 3);
    expect(verifyZone(crypto, zone.update(all).records(), apex, now)).toEqual([]);
  });

  test("when its signatures are about to end", () => {
    const late = { inception: now - 3600, expiration: now + 500 };
    const zone = built(
      signZone(crypto, [...base, record("x.e.", recordType.A, "192.0.2.9")], apex, { ...options, ...late }),
    );
    const owned = [...zone.names.order].map((node) => lowerName(zone.owner(zone.names, node)));
    const hashed = [...zone.hashed.order].map((node) => lowerName(zone.owner(zone.hashed, node)));
    const task = { plain: [{ kind: "add", record: soa(2) } as const], owners: owned, hashed, optOut: isOptOut };
    const after = zone.update(signedChanges(terms(), zone, task)!);
    expect(unsigned(after)).toEqual(
      unsigned(
        built(signZone(crypto, [soa(2), ...base.slice(1), record("x.e.", recordType.A, "192.0.2.9")], apex, options)),
      ),
    );
    expect(verifyZone(crypto, after.records(), apex, now + 900_000)).toEqual([]);
  });
});

test("a key that takes over signs what changes, and everything once the other is gone", () => {
  const zone = built(
    signZone(crypto, [...base, record("x.e.", recordType.A, "192.0.2.9")], apex, { keys, ...validity }),
  );
  const [ksk, old] = keys as [ZoneKey, ZoneKey];
  const young = zoneKey(3, false);
  const keyRecord = (key: ZoneKey): WireRecord => ({ ...soa(1), type: recordType.DNSKEY, data: key.data });
  const both = { published: [ksk, old, young], signing: [ksk, young] };
  const first = zone.update(
    signedChanges(terms(keys, { keys: both }), zone, {
      plain: [
        { kind: "add", record: keyRecord(young) },
        { kind: "add", record: soa(2) },
      ],
    })!,
  );
  expect(verifyZone(crypto, first.records(), apex, now)).toEqual([]);
  const tags = (owner: string, type: number) =>
    first
      .recordsOf(nameFromText(owner), recordType.RRSIG)
      .filter(({ data }) => data[1] === type)
      .map(({ data }) => ((data[16] ?? 0) << 8) | (data[17] ?? 0));
  expect(tags("x.e.", recordType.A)).toEqual([old.tag]);
  expect(tags("e.", recordType.SOA)).toEqual([young.tag]);
  const alone = { published: [ksk, young], signing: [ksk, young] };
  const owned = [...first.names.order].map((node) => lowerName(first.owner(first.names, node)));
  const last = first.update(
    signedChanges(terms(keys, { keys: alone }), first, {
      plain: [
        { kind: "remove", record: keyRecord(old) },
        { kind: "add", record: soa(3) },
      ],
      owners: owned,
    })!,
  );
  expect(verifyZone(crypto, last.records(), apex, now)).toEqual([]);
  expect(
    [...last.records()].filter(({ type, data }) => type === recordType.RRSIG && data[17] === (old.tag & 255)),
  ).toEqual([]);
});

test("another time to live of denials is no small change", () => {
  const zone = built(signZone(crypto, base, apex, { keys, ...validity }));
  const other = record("e.", recordType.SOA, "ns.e. admin.e. 2 100 20 500 31");
  expect(signedChanges(terms(), zone, { plain: [{ kind: "add", record: other }] })).toBeUndefined();
});

test("ECDSA, whose signatures differ from call to call", () => {
  const key = createZoneKey(crypto.importKey("ecdsa-p256-sha256", new Uint8Array(32).fill(9)), true);
  const zone = built(signZone(crypto, base, apex, { keys: [key], ...validity }));
  const task = {
    plain: [
      { kind: "add" as const, record: record("n.e.", recordType.A, "192.0.2.1") },
      { kind: "add" as const, record: soa(2) },
    ],
  };
  const after = zone.update(signedChanges(terms([key]), zone, task)!);
  expect(verifyZone(crypto, after.records(), apex, now)).toEqual([]);
});
