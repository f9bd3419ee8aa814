import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatEndpoint, IpAddress, MacAddress, Prefix } from "./address.ts";

const word = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });

describe("MacAddress", () => {
  test("reads what it wrote, and parses what it printed", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 6, maxLength: 6 }), (bytes) => {
        const address = MacAddress.read(bytes, 0);
        const copy = new Uint8Array(8);
        address.write(copy, 1);
        expect(copy.subarray(1, 7)).toEqual(bytes);
        expect(MacAddress.parse(address.toString()).equals(address)).toBe(true);
      }),
    );
  });

  test("the group bit marks multicast and broadcast", () => {
    expect(MacAddress.broadcast.isGroup).toBe(true);
    expect(MacAddress.parse("01:00:5e:00:00:01").isGroup).toBe(true);
    expect(MacAddress.parse("02:00:00:00:00:01").isGroup).toBe(false);
    expect(MacAddress.broadcast.toString()).toBe("ff:ff:ff:ff:ff:ff");
  });

  test.each(["", "02:00:00:00:00", "02:00:00:00:00:0g", "2:0:0:0:0:1", "02:00:00:00:00:01:02"])(
    "names %j as no MAC address",
    (text) => {
      expect(() => MacAddress.parse(text)).toThrow(`"${text}" is not a MAC address`);
    },
  );
});

describe("IpAddress", () => {
  test("prints and parses every IPv4 address", () => {
    fc.assert(
      fc.property(word, (value) => {
        const address = IpAddress.v4(value);
        expect(IpAddress.parse(address.toString()).equals(address)).toBe(true);
      }),
    );
  });

  test("prints and parses every IPv6 address", () => {
    const sparse = fc.oneof(word, fc.constant(0), fc.constant(0xffff), fc.constant(1 << 16));
    fc.assert(
      fc.property(sparse, sparse, sparse, sparse, (a, b, c, d) => {
        const address = new IpAddress(6, a, b, c, d);
        expect(IpAddress.parse(address.toString()).equals(address)).toBe(true);
      }),
    );
  });

  test.each([
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["2001:0DB8::0001", "2001:db8::1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["0:0:0:0:0:0:0:0", "::"],
    ["1::", "1::"],
    ["::ffff:192.0.2.1", "::ffff:192.0.2.1"],
    ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
  ])("RFC 5952: %s is written %s", (text, canonical) => {
    expect(IpAddress.parse(text).toString()).toBe(canonical);
  });

  test.each([
    "",
    "1.2.3",
    "1.2.3.4.5",
    "01.2.3.4",
    "256.0.0.1",
    "1.2.3.a",
    ":",
    ":::",
    "1::2::3",
    "1:2:3:4:5:6:7",
    "12345::",
    "::1.2.3",
    "1:2:3:4:5:6:7:1.2.3.4",
    "fe80::1%eth0",
    "::1.2.3.4:5",
  ])("refuses %j", (text) => {
    expect(IpAddress.tryParse(text)).toBeUndefined();
    expect(() => IpAddress.parse(text)).toThrow(RangeError);
  });

  test("never throws on arbitrary text", () => {
    fc.assert(fc.property(fc.string(), (text) => void IpAddress.tryParse(text)));
  });

  test("knows loopback, multicast and unspecified addresses", () => {
    expect(IpAddress.parse("127.9.9.9").isLoopback).toBe(true);
    expect(IpAddress.parse("::1").isLoopback).toBe(true);
    expect(IpAddress.parse("128.0.0.1").isLoopback).toBe(false);
    expect(IpAddress.parse("224.0.0.1").isMulticast).toBe(true);
    expect(IpAddress.parse("ff02::1").isMulticast).toBe(true);
    expect(IpAddress.parse("240.0.0.1").isMulticast).toBe(false);
    expect(IpAddress.any4.isUnspecified).toBe(true);
    expect(IpAddress.any4.equals(IpAddress.any6)).toBe(false);
  });

  test("an endpoint prints with brackets around IPv6", () => {
    expect(formatEndpoint({ address: IpAddress.parse("10.0.0.1"), port: 80 })).toBe("10.0.0.1:80");
    expect(formatEndpoint({ address: IpAddress.loopback6, port: 80 })).toBe("[::1]:80");
  });
});

describe("Prefix", () => {
  test.each([
    ["10.0.0.2/24", "10.0.0.255", true],
    ["10.0.0.2/24", "10.0.1.0", false],
    ["0.0.0.0/0", "203.0.113.9", true],
    ["192.0.2.1/32", "192.0.2.1", true],
    ["192.0.2.1/32", "192.0.2.0", false],
    ["fd00::/8", "fdff::1", true],
    ["2001:db8::/33", "2001:db8:8000::", false],
    ["::/0", "10.0.0.1", false],
  ])("%s contains %s: %s", (block, address, expected) => {
    expect(Prefix.parse(block).contains(IpAddress.parse(address))).toBe(expected);
  });

  test("RFC 3021: /31 and /32 have no broadcast address", () => {
    expect(Prefix.parse("10.0.0.2/24").broadcast?.toString()).toBe("10.0.0.255");
    expect(Prefix.parse("10.0.0.2/31").broadcast).toBeUndefined();
    expect(Prefix.parse("10.0.0.2/32").broadcast).toBeUndefined();
    expect(Prefix.parse("fd00::1/64").broadcast).toBeUndefined();
  });

  test.each(["10.0.0.2", "10.0.0.2/33", "fd00::/129", "10.0.0.2/-1", "10.0.0.2/2x", "/24"])("refuses %j", (text) => {
    expect(() => Prefix.parse(text)).toThrow(RangeError);
  });
});
