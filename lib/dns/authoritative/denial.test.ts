import { IpAddress } from "@tesserae/device/address";
import { createCrypto } from "@tesserae/node/crypto";
import { expect, test } from "vitest";
import { hashedOwner } from "../dnssec/denial-chain.ts";
import { nsec3Hash } from "../dnssec/nsec3-hash.ts";
import { createZoneKey } from "../dnssec/signature.ts";
import { signZone } from "../dnssec/sign-zone.ts";
import { compareNames, nameFromText } from "../name-bytes.ts";
import { parseRecordData } from "../record/text.ts";
import { recordType } from "../wire.ts";
import { parseWireMessage } from "../wire-message.ts";
import { Authoritative } from "./authoritative.ts";
import { ZoneBuilder } from "./zone-builder.ts";
import { Zones } from "./zones.ts";

const crypto = createCrypto();
const apex = nameFromText("e.");

test("RFC 5155 §7.2.1: below a name that opt-out leaves out, the closest encloser with a record proves", () => {
  const lines: readonly (readonly [string, number, string])[] = [
    ["e.", 6, "ns.e. admin.e. 1 100 20 500 60"],
    ["e.", 2, "ns.elsewhere."],
    ["deep.sub.e.", 2, "ns.elsewhere."],
    ["www.e.", 1, "192.0.2.1"],
  ];
  const records = lines.map(([owner, type, text]) => {
    const parsed = parseRecordData(type, text);
    if (!parsed.ok) throw new Error(text);
    return { owner: nameFromText(owner), type, class: 1, ttl: 60, data: parsed.data };
  });
  const keys = [createZoneKey(crypto.importKey("ed25519", new Uint8Array(32).fill(1)), true)];
  const nsec3 = { iterations: 0, salt: new Uint8Array(0), optOut: true };
  const builder = new ZoneBuilder(apex);
  for (const record of signZone(crypto, records, apex, { keys, nsec3, inception: 0, expiration: 1 }))
    builder.add(record);
  const built = builder.finish();
  if (!built.ok) throw new Error(built.message);
  const zones = new Zones();
  zones.replace(built.zone);
  const name = nameFromText("none.sub.e.");
  const opt = [0, 0, 41, 16, 0, 0, 0, 0x80, 0, 0, 0];
  const query = Uint8Array.of(0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, ...name, 0, 1, 0, 1, ...opt);
  const out = new Uint8Array(4096);
  const length = new Authoritative({ zones }).answer(query, 0, query.length, out, 0, 4096, "tcp", IpAddress.loopback4);
  const parsed = parseWireMessage(out, 0, length);
  if (!parsed.ok) throw new Error("no message");
  const proofs = parsed.value.authorities.filter(({ type }) => type === recordType.NSEC3);
  const hashed = (text: string) => hashedOwner(nsec3Hash(crypto, nameFromText(text), nsec3.salt, 0), apex);
  // The apex has a record; that of `sub.e.`, which has none, lies between two others.
  expect(proofs.some(({ owner }) => compareNames(owner, hashed("e.")) === 0)).toBe(true);
  const chain = [...built.zone.hashed.order].map((node) => built.zone.owner(built.zone.hashed, node));
  expect(chain.some((owner) => compareNames(owner, hashed("sub.e.")) === 0)).toBe(false);
  const before = chain.filter((owner) => compareNames(owner, hashed("sub.e.")) < 0).at(-1) ?? chain.at(-1)!;
  expect(proofs.some(({ owner }) => compareNames(owner, before) === 0)).toBe(true);
});
