import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { IpAddress } from "@tesserae/device/address";
import { expect, test } from "vitest";
import { emitMessage } from "./message.ts";
import { nameFromText, nameToText } from "./name-bytes.ts";
import { parseWireMessage, readQuestion } from "./wire-message.ts";
import { WireMessageWriter } from "./wire-message-writer.ts";
import type { WireRecord } from "./wire-record.ts";
import { messageFlag, recordType } from "./wire.ts";

const record = (owner: string, type: number, data: Uint8Array): WireRecord => ({
  owner: nameFromText(owner),
  type,
  class: 1,
  ttl: 300,
  data,
});

function written(records: readonly WireRecord[], limit = 512): Uint8Array {
  const data = new Uint8Array(limit + 1000);
  const writer = new WireMessageWriter(data, limit);
  expect(writer.question({ name: nameFromText("www.Example.org"), type: 1, class: 1 })).toBe(true);
  for (const each of records) writer.records("answers", [each]);
  writer.edns({ udpSize: 1232, version: 0, dnssecOk: true, options: [{ code: 10, bytes: new Uint8Array(8) }] }, 23);
  return data.slice(0, writer.finish(7, messageFlag.response | messageFlag.recursionAvailable, 23));
}

test("what is written is read again, with names compressed on the wire and expanded in the data", () => {
  const mx = Uint8Array.from([0, 10, ...nameFromText("mail.example.org")]);
  const bytes = written([
    record("www.example.org", recordType.A, Uint8Array.of(192, 0, 2, 1)),
    record("example.org", recordType.MX, mx),
    record("example.org", recordType.SRV, Uint8Array.from([0, 1, 0, 2, 0, 3, ...nameFromText("a.example.org")])),
  ]);
  // The names of SRV data are not compressed (RFC 2782), those of MX data are.
  expect(bytes.length).toBe(12 + 21 + 16 + (2 + 10 + 2 + 7) + (2 + 10 + 6 + 15) + 11 + 12);
  const parsed = parseWireMessage(bytes);
  if (!parsed.ok) throw new Error(parsed.error.message);
  const { value } = parsed;
  expect([value.id, value.rcode, value.edns?.dnssecOk]).toEqual([7, 23, true]);
  expect(nameToText(value.answers[1]!.data, 2).toLowerCase()).toBe("mail.example.org.");
  expect(value.answers.map(({ owner }) => nameToText(owner))).toEqual([
    "www.Example.org.",
    "Example.org.",
    "Example.org.",
  ]);
  expect(nameToText(readQuestion(bytes, 0, bytes.length)!.name)).toBe("www.Example.org.");
});

test("what does not fit is left out whole, and what comes later does not point into it", () => {
  const big = record("big.example.org", recordType.TXT, new Uint8Array(480));
  const small = record("a.big.example.org", recordType.A, Uint8Array.of(1, 2, 3, 4));
  const parsed = parseWireMessage(written([big, small]));
  if (!parsed.ok) throw new Error(parsed.error.message);
  expect(parsed.value.answers.map(({ type }) => type)).toEqual([recordType.A]);
  expect(nameToText(parsed.value.answers[0]!.owner)).toBe("a.big.Example.org.");
});

test("it reads what the other writer of messages writes", () => {
  const bytes = new Uint8Array(512);
  const length = emitMessage(
    {
      ...{ id: 1, response: true, opcode: 0, authoritative: true, truncated: false, recursionDesired: false },
      ...{ recursionAvailable: false, authenticData: false, checkingDisabled: false, rcode: 0 },
      questions: [{ name: "a.example", type: 1, class: 1 }],
      answers: [{ name: "a.example", class: 1, ttl: 5, data: { type: "A", address: IpAddress.parse("192.0.2.7") } }],
      authorities: [{ name: "example", class: 1, ttl: 5, data: { type: "NS", name: "ns.example" } }],
      additionals: [],
    },
    bytes,
  );
  const parsed = parseWireMessage(bytes, 0, length);
  if (!parsed.ok) throw new Error(parsed.error.message);
  expect([...parsed.value.answers[0]!.data]).toEqual([192, 0, 2, 7]);
  expect(nameToText(parsed.value.authorities[0]!.data)).toBe("ns.example.");
});

test("broken messages are refused, never thrown at", () => {
  const bytes = written([record("example.org", recordType.MX, Uint8Array.from([0, 10, ...nameFromText("m.org")]))]);
  const random = new SeededRandom(1);
  let refused = 0;
  for (let round = 0; round < 2000; round++) {
    const broken = bytes.slice(0, round % 3 === 0 ? random.uint32() % bytes.length : bytes.length);
    for (let left = 3; left > 0; left--) broken[random.uint32() % broken.length] = random.uint32();
    if (!parseWireMessage(broken).ok) refused++;
  }
  expect(refused).toBeGreaterThan(500);
  expect(parseWireMessage(bytes.subarray(0, 11)).ok).toBe(false);
});
