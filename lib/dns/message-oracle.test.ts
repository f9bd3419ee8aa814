// Messages as dns-packet, an implementation of others, writes and reads them.
import dnsPacket, { type Answer, type Packet } from "dns-packet";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { emitMessage, parseMessage } from "./message.ts";
import { nameFromText } from "./name-bytes.ts";
import { parseRecordData, printRecordData } from "./record/text.ts";
import type { ResourceRecord } from "./record.ts";
import { recordType } from "./wire.ts";

const label = fc.stringMatching(/^[a-zA-Z0-9_-]{1,12}$/);
const name = fc.array(label, { minLength: 1, maxLength: 5 }).map((labels) => labels.join("."));
const u8 = fc.nat(255);
const u16 = fc.nat(0xffff);
const u32 = fc.nat(0xffffffff);
const bytes = fc.uint8Array({ minLength: 1, maxLength: 40 }).map((each) => Buffer.from(each));
const quad = fc.tuple(u8, u8, u8, u8).map((each) => each.join("."));

/** Records as dns-packet has them. */
const answer: fc.Arbitrary<Answer> = fc
  .oneof(
    fc.record({ type: fc.constant("A"), data: quad }),
    fc.record({ type: fc.constantFrom("NS", "CNAME", "PTR", "DNAME"), data: name }),
    fc.record({ type: fc.constant("MX"), data: fc.record({ preference: u16, exchange: name }) }),
    fc.record({ type: fc.constant("TXT"), data: fc.array(bytes, { minLength: 1, maxLength: 3 }) }),
    fc.record({
      type: fc.constant("SRV"),
      data: fc.record({ priority: u16, weight: u16, port: u16, target: name }),
    }),
    fc.record({
      type: fc.constant("SOA"),
      data: fc.record({
        ...{ mname: name, rname: name, serial: u32, refresh: u32, retry: u32, expire: u32, minimum: u32 },
      }),
    }),
    fc.record({ type: fc.constant("RP"), data: fc.record({ mbox: name, txt: name }) }),
    fc.record({
      type: fc.constant("DS"),
      data: fc.record({ keyTag: u16, algorithm: u8, digestType: u8, digest: bytes }),
    }),
    fc.record({ type: fc.constant("DNSKEY"), data: fc.record({ flags: u16, algorithm: u8, key: bytes }) }),
    fc.record({
      type: fc.constant("RRSIG"),
      data: fc.record({
        ...{ typeCovered: fc.constantFrom("A", "MX"), algorithm: u8, labels: u8, originalTTL: u32, expiration: u32 },
        ...{ inception: u32, keyTag: u16, signersName: name, signature: bytes },
      }),
    }),
    fc.record({
      type: fc.constant("NSEC"),
      data: fc.record({ nextDomain: name, rrtypes: fc.uniqueArray(fc.constantFrom("A", "NS", "MX", "CAA")) }),
    }),
    fc.record({
      type: fc.constant("TLSA"),
      data: fc.record({ usage: u8, selector: u8, matchingType: u8, certificate: bytes }),
    }),
  )
  .chain((record) => fc.record({ name, ttl: fc.nat(0x7fffffff) }).map((rest) => ({ ...rest, ...record })));

/** The data's text. */
function textOf(record: ResourceRecord): string {
  const message = { ...empty, answers: [record] };
  const whole = new Uint8Array(70_000);
  const length = emitMessage(message, whole);
  const at = 12 + nameFromText(record.name).length + 10;
  return printRecordData(codeOf(record), whole.slice(at, length));
}

function codeOf({ data }: ResourceRecord): number {
  return data.type === "unknown" ? data.code : recordType[data.type];
}

const empty = {
  ...{ id: 7, response: true, opcode: 0, authoritative: true, truncated: false, recursionDesired: true },
  ...{ recursionAvailable: false, authenticData: false, checkingDisabled: false, rcode: 0 },
  ...{ questions: [], answers: [], authorities: [], additionals: [] },
};

describe("messages as dns-packet has them", () => {
  test("what it writes we read, and write so that it reads the same", () => {
    fc.assert(
      fc.property(fc.array(answer, { maxLength: 5 }), fc.array(answer, { maxLength: 3 }), (answers, authorities) => {
        const packet: Packet = {
          ...{ type: "response", id: 7, flags: dnsPacket.AUTHORITATIVE_ANSWER | dnsPacket.RECURSION_DESIRED },
          ...{ questions: [{ type: "A", name: "www.example.org" }], answers, authorities },
        };
        const theirs = dnsPacket.encode(packet);
        const parsed = parseMessage(theirs);
        if (!parsed.ok) throw new Error(parsed.error.message);
        const ours = new Uint8Array(70_000);
        const length = emitMessage(parsed.value, ours);
        expect(dnsPacket.decode(Buffer.from(ours.subarray(0, length)))).toEqual(dnsPacket.decode(theirs));
        // Names that end alike are written once.
        expect(length).toBeLessThanOrEqual(theirs.length);
      }),
    );
  });

  test("the text of what it writes, read again, is the same bytes", () => {
    fc.assert(
      fc.property(answer, (each) => {
        const parsed = parseMessage(dnsPacket.encode({ type: "response", id: 1, answers: [each] }));
        if (!parsed.ok) throw new Error(parsed.error.message);
        const record = parsed.value.answers[0]!;
        const bare = { ...record, name: "x" };
        const text = textOf(bare);
        const scanned = parseRecordData(codeOf(record), text);
        if (!scanned.ok) throw new Error(`${text}: ${scanned.what}`);
        expect(printRecordData(codeOf(record), scanned.data)).toBe(text);
      }),
    );
  });
});
