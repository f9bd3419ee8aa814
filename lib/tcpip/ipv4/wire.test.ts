import { checksum } from "@tesserae/wire/checksum";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkHeader, checkOptions, ipv4 } from "./wire.ts";

/** Ping from 10.0.0.1 to 10.0.0.2, as tcpdump shows it, with an empty payload of 8 bytes. */
const good = Uint8Array.from(
  "4500001c 1c460000 40010000 0a000001 0a000002 0800f7ff 00000000"
    .replaceAll(" ", "")
    .match(/../g)!
    .map((pair) => Number.parseInt(pair, 16)),
);
ipv4.field.checksum.set(good, 0, checksum(good, 0, 20));

function changed(change: (bytes: Uint8Array) => void, sign = true): Uint8Array {
  const bytes = good.slice();
  change(bytes);
  if (sign) {
    ipv4.field.checksum.set(bytes, 0, 0);
    ipv4.field.checksum.set(bytes, 0, checksum(bytes, 0, (bytes[0]! & 15) * 4));
  }
  return bytes;
}

describe("RFC 1122 §3.2.1: what a host checks of a header", () => {
  test("a good one", () => {
    expect(checkHeader(good, 0, good.length)).toBe("none");
    // Ethernet pads short packets.
    const padded = new Uint8Array(46);
    padded.set(good);
    expect(checkHeader(padded, 0, padded.length)).toBe("none");
  });

  test.each<[string, Uint8Array]>([
    ["version", changed((bytes) => (bytes[0] = 0x65))],
    ["length", changed((bytes) => (bytes[0] = 0x44))],
    ["length", changed((bytes) => (bytes[3] = 19))],
    ["truncated", changed((bytes) => (bytes[3] = 29))],
    ["truncated", good.slice(0, 19)],
    ["checksum", changed((bytes) => (bytes[8] = 63), false)],
  ])("%s", (fault, bytes) => {
    expect(checkHeader(bytes, 0, bytes.length)).toBe(fault);
  });

  test.each<[string, number[]]>([
    ["none", []],
    ["none", [1, 1, 1, 0, 99, 99]],
    ["none", [7, 7, 4, 0, 0, 0, 0, 0]],
    ["none", [148, 4, 0, 0]],
    ["options", [7]],
    ["options", [7, 0]],
    ["options", [7, 1, 0, 0]],
    ["options", [7, 5, 0, 0]],
    ["source-route", [131, 7, 4, 10, 0, 0, 9]],
    ["source-route", [1, 137, 7, 4, 10, 0, 0, 9]],
  ])("§3.2.1.8, RFC 7126: options: %s %j", (fault, options) => {
    expect(checkOptions(Uint8Array.from(options), 0, options.length)).toBe(fault);
  });

  test("no bytes make it throw, or accept a length that is not there", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat(80), (bytes, offset) => {
        const length = Math.max(0, bytes.length - offset);
        if (checkHeader(bytes, offset, length) !== "none") return;
        expect(ipv4.field.totalLength.get(bytes, offset)).toBeLessThanOrEqual(length);
      }),
    );
  });
});
