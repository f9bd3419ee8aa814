import { Prefix } from "@tesserae/device/address";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { emitOption, parseOption, paddingFor, printOption, type EdnsOptionData } from "./option.ts";
import { ednsOption } from "../wire.ts";

const examples: readonly (readonly [string, EdnsOptionData, string])[] = [
  ["RFC 5001", { kind: "nsid", id: Uint8Array.from(Buffer.from("ns1")) }, 'NSID: 6e7331 "ns1"'],
  ["RFC 6975", { kind: "algorithms", code: 5, numbers: [8, 13, 15] }, "DAU: 8 13 15"],
  [
    "RFC 7871",
    { kind: "client-subnet", subnet: { source: Prefix.parse("192.0.2.0/23"), scopeLength: 0 } },
    "CLIENT-SUBNET: 192.0.2.0/23/0",
  ],
  [
    "RFC 7871",
    { kind: "client-subnet", subnet: { source: Prefix.parse("2001:db8::/33"), scopeLength: 48 } },
    "CLIENT-SUBNET: 2001:db8::/33/48",
  ],
  ["RFC 7314", { kind: "expire", seconds: 604_800 }, "EXPIRE: 604800 s"],
  ["RFC 7314", { kind: "expire", seconds: undefined }, "EXPIRE: ?"],
  [
    "RFC 7873",
    { kind: "cookie", client: new Uint8Array(8).fill(1), server: new Uint8Array(8).fill(2) },
    "COOKIE: 0101010101010101 0202020202020202",
  ],
  ["RFC 7828", { kind: "keep-alive", timeout: 30_000 }, "TCP-KEEPALIVE: 30 s"],
  ["RFC 7828", { kind: "keep-alive", timeout: undefined }, "TCP-KEEPALIVE: ?"],
  ["RFC 7830", { kind: "padding", length: 5 }, "PADDING: 5 bytes"],
  ["RFC 7901", { kind: "chain", closest: "example.org." }, "CHAIN: example.org."],
  ["RFC 8145", { kind: "key-tag", tags: [20326, 38696] }, "KEY-TAG: 20326 38696"],
  [
    "RFC 8914",
    { kind: "extended-error", error: { code: 18, text: 'no "ä"' } },
    'EDE: 18 (prohibited): "no \\"\\195\\164\\""',
  ],
  ["RFC 9567", { kind: "report-channel", agent: "a.example." }, "REPORT-CHANNEL: a.example."],
  ["unknown", { kind: "unknown", code: 65_001, bytes: Uint8Array.of(0, 65) }, "OPT65001: 0041 (.A)"],
];

describe("EDNS options", () => {
  test.each(examples)("%s: what is written is read, and printed", (_, data, text) => {
    const { code, bytes } = emitOption(data);
    expect(parseOption(code, bytes)).toEqual(data);
    expect(printOption(code, bytes)).toBe(text);
  });

  test("any bytes are read or refused, and what is read is written the same", () => {
    const codes = fc.oneof(fc.constantFrom(...Object.values(ednsOption)), fc.nat(0xffff));
    fc.assert(
      fc.property(codes, fc.uint8Array({ maxLength: 44 }), (code, bytes) => {
        const data = parseOption(code, bytes);
        expect(printOption(code, bytes)).not.toBe("");
        if (data === undefined || data.kind === "extended-error") return;
        const expected = data.kind === "padding" ? new Uint8Array(bytes.length) : bytes;
        expect(emitOption(data)).toEqual({ code, bytes: expected });
      }),
      { numRuns: 1000 },
    );
  });

  test.each<readonly [string, number, number[]]>([
    ["RFC 7871 §6: bits beyond the length", 8, [0, 1, 23, 0, 192, 0, 3]],
    ["RFC 7871 §6: bytes beyond the length", 8, [0, 1, 8, 0, 192, 0]],
    ["RFC 7871 §6: too long a prefix", 8, [0, 1, 33, 0, 1, 2, 3, 4, 0]],
    ["RFC 7871: another family", 8, [0, 3, 0, 0]],
    ["RFC 7873 §5.3: 9 bytes", 10, [1, 2, 3, 4, 5, 6, 7, 8, 9]],
    ["RFC 7873 §5.3: 41 bytes", 10, new Array<number>(41).fill(0)],
    ["RFC 7828 §3.1: one byte", 11, [1]],
    ["RFC 7901: no name", 13, [3, 97]],
    ["RFC 8145: half a tag", 14, [1, 2, 3]],
    ["RFC 8914: half a code", 15, [1]],
  ])("%s", (_, code, bytes) => {
    expect(parseOption(code, Uint8Array.from(bytes))).toBeUndefined();
    expect(printOption(code, Uint8Array.from(bytes))).toContain("malformed");
  });

  test("RFC 8467 §4.1: padding to a multiple of a block", () => {
    expect(paddingFor(100, 128, 512)).toBe(24);
    expect(paddingFor(124, 128, 512)).toBe(0);
    expect(paddingFor(125, 128, 512)).toBe(127);
    expect(paddingFor(480, 468, 512)).toBe(28);
    expect(paddingFor(510, 468, 512)).toBe(0);
    fc.assert(
      fc.property(fc.nat(5000), (length) => {
        expect((length + 4 + paddingFor(length, 468, 65_535)) % 468).toBe(0);
      }),
    );
  });
});
