import { IpAddress } from "@tesserae/device/address";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type DnsMessage, emitMessage, parseMessage } from "./message.ts";
import type { RecordData } from "./record.ts";
import { header, recordType } from "./wire.ts";

const empty: DnsMessage = {
  id: 0x1234,
  response: true,
  opcode: 0,
  authoritative: false,
  truncated: false,
  recursionDesired: true,
  recursionAvailable: true,
  authenticData: false,
  checkingDisabled: false,
  rcode: 0,
  questions: [],
  answers: [],
  authorities: [],
  additionals: [],
};

function emitted(message: DnsMessage): Uint8Array {
  const bytes = new Uint8Array(65_535);
  return bytes.slice(0, emitMessage(message, bytes));
}

const label = fc.stringMatching(/^[a-zA-Z0-9-]{1,12}$/);
const name = fc.oneof(
  fc.constant("."),
  fc.array(label, { minLength: 1, maxLength: 5 }).map((labels) => labels.join(".")),
);
const u8 = fc.nat(255);
const u16 = fc.nat(0xffff);
const u32 = fc.nat(0xffffffff);
const bytes = fc.uint8Array({ maxLength: 40 });
const word = fc.integer();
const text = fc.stringMatching(/^[ -~]{0,20}$/);
const data: fc.Arbitrary<RecordData> = fc.oneof(
  word.map((bits): RecordData => ({ type: "A", address: IpAddress.v4(bits) })),
  fc
    .tuple(word, word, word, word)
    .map(([a, b, c, d]): RecordData => ({ type: "AAAA", address: new IpAddress(6, a, b, c, d) })),
  fc.record({ type: fc.constantFrom("CNAME", "NS", "PTR"), name }),
  fc.record({ type: fc.constant("MX"), preference: u16, exchange: name }),
  fc.record({ type: fc.constant("TXT"), strings: fc.array(bytes, { minLength: 1, maxLength: 3 }) }),
  fc.record({ type: fc.constant("SRV"), priority: u16, weight: u16, port: u16, target: name }),
  fc.record({
    ...{ type: fc.constant("SOA"), primary: name, mailbox: name, serial: u32 },
    ...{ refresh: u32, retry: u32, expire: u32, minimum: u32 },
  }),
  fc.record({ type: fc.constant("CAA"), flags: u8, tag: text, value: bytes }),
  fc.record({
    ...{ type: fc.constant("NAPTR"), order: u16, preference: u16 },
    ...{ flags: text, services: text, regexp: text, replacement: name },
  }),
  fc.record({
    type: fc.constant("TLSA"),
    usage: u8,
    selector: u8,
    matching: u8,
    data: fc.uint8Array({ minLength: 1, maxLength: 40 }),
  }),
  fc.record({ type: fc.constant("unknown"), code: fc.integer({ min: 1000, max: 0xffff }), bytes }),
);
const records = fc.array(fc.record({ name, class: u16, ttl: fc.nat(0x7fffffff), data }), { maxLength: 4 });
const edns = fc.record({
  udpSize: u16,
  version: u8,
  dnssecOk: fc.boolean(),
  options: fc.array(fc.record({ code: u16, bytes }), { maxLength: 3 }),
});
const message: fc.Arbitrary<DnsMessage> = fc
  .record(
    {
      id: u16,
      response: fc.boolean(),
      opcode: fc.nat(15),
      authoritative: fc.boolean(),
      truncated: fc.boolean(),
      recursionDesired: fc.boolean(),
      recursionAvailable: fc.boolean(),
      authenticData: fc.boolean(),
      checkingDisabled: fc.boolean(),
      rcode: fc.nat(4095),
      questions: fc.array(fc.record({ name, type: u16, class: u16 }), { maxLength: 2 }),
      answers: records,
      authorities: records,
      additionals: records,
      edns,
    },
    {
      requiredKeys: [
        "id",
        "response",
        "opcode",
        "authoritative",
        "truncated",
        "recursionDesired",
        "recursionAvailable",
        "authenticData",
        "checkingDisabled",
        "rcode",
        "questions",
        "answers",
        "authorities",
        "additionals",
      ],
    },
  )
  .map((each) => (each.edns === undefined ? { ...each, rcode: each.rcode & 15 } : each) as DnsMessage);

describe("RFC 1035 §4: messages", () => {
  test("what is written is read", () => {
    fc.assert(
      fc.property(message, (each) => {
        expect(parseMessage(emitted(each))).toEqual({ ok: true, value: each });
      }),
    );
  });

  test("a message is read wherever it is in the array", () => {
    fc.assert(
      fc.property(message, fc.nat(20), (each, offset) => {
        const whole = emitted(each);
        const shifted = new Uint8Array(whole.length + offset + 5).fill(0xc0);
        shifted.set(whole, offset);
        expect(parseMessage(shifted, offset, whole.length)).toEqual({ ok: true, value: each });
      }),
    );
  });

  test("nothing read refers to the message, be it a Buffer of Node's", () => {
    const text: RecordData = { type: "TXT", strings: [Uint8Array.of(1, 2, 3)] };
    const message = { ...empty, answers: [{ name: "a", class: 1, ttl: 0, data: text }] };
    const bytes = Buffer.from(emitted(message));
    const parsed = parseMessage(bytes);
    bytes.fill(255);
    expect(parsed).toEqual({ ok: true, value: message });
  });

  test("a message that is cut anywhere is refused", () => {
    fc.assert(
      fc.property(message, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (each, share) => {
        const whole = emitted(each);
        expect(parseMessage(whole, 0, Math.floor(whole.length * share)).ok).toBe(false);
      }),
    );
  });

  test("§4.1.4: names that end alike are written once, with their case", () => {
    const a = (owner: string) => ({
      name: owner,
      class: 1,
      ttl: 60,
      data: { type: "A", address: IpAddress.loopback4 } as const,
    });
    const one = emitted({ ...empty, answers: [a("www.example.org")] }).length;
    const three = { ...empty, answers: [a("www.example.org"), a("www.example.org"), a("ftp.example.org")] };
    expect(emitted(three).length).toBe(one + 16 + 20);
    const cased = { ...empty, answers: [a("www.example.org"), a("www.Example.org")] };
    expect(parseMessage(emitted(cased))).toMatchObject({ ok: true, value: cased });
  });

  test("a real response: dig example.com with two addresses", () => {
    const response = Uint8Array.from(
      Buffer.from(
        "b1c281800001000200000001076578616d706c6503636f6d0000010001" +
          "c00c000100010000012c0004175f5f01c00c000100010000012c0004175f5f02" +
          "0000290200000000000000",
        "hex",
      ),
    );
    const parsed = parseMessage(response);
    expect(parsed).toMatchObject({
      ok: true,
      value: {
        id: 0xb1c2,
        response: true,
        recursionAvailable: true,
        questions: [{ name: "example.com", type: recordType.A, class: 1 }],
        edns: { udpSize: 512, version: 0, dnssecOk: false, options: [] },
      },
    });
    if (!parsed.ok) return;
    const addresses = parsed.value.answers.map(({ data: each }) =>
      each.type === "A" ? String(each.address) : each.type,
    );
    expect(addresses).toEqual(["23.95.95.1", "23.95.95.2"]);
    expect(emitted(parsed.value)).toEqual(response);
  });

  test("RFC 2181 §8: a time to live with the top bit set is 0", () => {
    const bytes = emitted({
      ...empty,
      answers: [{ name: ".", class: 1, ttl: 1, data: { type: "A", address: IpAddress.any4 } }],
    });
    bytes[header.size + 5] = 0x80;
    expect(parseMessage(bytes)).toMatchObject({ ok: true, value: { answers: [{ ttl: 0 }] } });
  });

  test.each<[string, (bytes: Uint8Array) => Uint8Array, string]>([
    ["a record longer than the message", (bytes) => bytes.fill(255, bytes.length - 6, bytes.length - 4), "length"],
    ["data longer than its type", (bytes) => Uint8Array.from([...bytes.fill(5, -5, -4), 0]), "length"],
    ["bytes behind the end", (bytes) => Uint8Array.from([...bytes, 0]), "length"],
    ["more records than there are", (bytes) => bytes.fill(2, 7, 8), "truncated"],
  ])("%s is refused", (_, damage, kind) => {
    const bytes = emitted({
      ...empty,
      answers: [{ name: ".", class: 1, ttl: 1, data: { type: "A", address: IpAddress.any4 } }],
    });
    expect(parseMessage(damage(bytes))).toMatchObject({ ok: false, error: { kind, layer: "dns" } });
  });

  test("a name inside data may not reach beyond the data", () => {
    const bytes = emitted({ ...empty, answers: [{ name: ".", class: 1, ttl: 1, data: { type: "NS", name: "abc" } }] });
    // The data is said to be three bytes long; the name has five.
    bytes[bytes.length - 6] = 3;
    expect(parseMessage(bytes)).toMatchObject({ ok: false, error: { field: "name" } });
  });

  test("no room, values out of range and names that are none are the caller's mistake", () => {
    const question = (owner: string) => ({ ...empty, questions: [{ name: owner, type: 1, class: 1 }] });
    expect(() => emitMessage(question("example.org"), new Uint8Array(20))).toThrow("more than 20 bytes");
    expect(() => emitMessage(empty, new Uint8Array(11))).toThrow("more than 11 bytes");
    expect(() => emitted(question("a..b"))).toThrow("empty label");
    expect(() => emitted({ ...empty, rcode: 16 })).toThrow("needs EDNS");
    const long = { type: "TXT", strings: [new Uint8Array(256)] } as const;
    expect(() => emitted({ ...empty, answers: [{ name: ".", class: 1, ttl: 0, data: long }] })).toThrow("0 to 255");
  });
});

describe("RFC 6891 §6.1: OPT", () => {
  const opt = { udpSize: 1232, version: 0, dnssecOk: true, options: [{ code: 10, bytes: new Uint8Array(8) }] };

  test("two of them, one that is not at the root, or among the answers, are refused", () => {
    const one = emitted({ ...empty, edns: opt });
    const record = one.slice(header.size);
    const two = Uint8Array.from([...one, ...record]);
    two[11] = 2;
    expect(parseMessage(two)).toMatchObject({ ok: false, error: { kind: "value" } });
    const answer = one.slice();
    answer[7] = 1;
    answer[11] = 0;
    expect(parseMessage(answer)).toMatchObject({ ok: false, error: { kind: "value" } });
    const named = Uint8Array.from([...one.slice(0, header.size), 1, 97, ...record]);
    expect(parseMessage(named)).toMatchObject({ ok: false, error: { kind: "value" } });
  });

  test("an option that reaches beyond the record is refused", () => {
    const bytes = emitted({ ...empty, edns: opt });
    bytes[bytes.length - 9] = 200;
    expect(parseMessage(bytes)).toMatchObject({ ok: false, error: { field: "options" } });
  });

  test("the response code has 12 bits", () => {
    expect(parseMessage(emitted({ ...empty, rcode: 0x123, edns: opt }))).toMatchObject({
      ok: true,
      value: { rcode: 0x123 },
    });
  });
});
