import { IpAddress, MacAddress, Prefix } from "@tesserae/device/address";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type RouterAdvertisementOptions, writeRouterAdvertisement } from "./router-advertisement.ts";
import { readOptions, routerAdvertisement } from "./wire.ts";

const mac = new MacAddress(0x0200, 7);
const own = [Prefix.parse("2001:db8:1::1/64")];
const day = 86_400_000;

function written(options: RouterAdvertisementOptions, isLast = false) {
  const bytes = writeRouterAdvertisement(options, own, mac, isLast);
  const read = readOptions(bytes, routerAdvertisement.size, bytes.length);
  if (read === undefined) throw new Error("its own options cannot be read");
  return { header: routerAdvertisement.parse(bytes, 0), read, bytes };
}

describe("RFC 4861 §6.2.1, §6.2.3: what a router says", () => {
  test("without options: the prefixes of its addresses, for the standard times", () => {
    const { header, read } = written({});
    expect(header).toMatchObject({
      ok: true,
      value: { type: 134, code: 0, hopLimit: 64, lifetime: 1800, managed: false, other: false, preference: 0 },
    });
    expect(read.sourceMac?.toString()).toBe(mac.toString());
    expect(read.mtu).toBe(0);
    expect(read.prefixes).toMatchObject([
      { onLink: true, autonomous: true, validLifetime: 30 * day, preferredLifetime: 7 * day },
    ]);
    expect(read.prefixes[0]?.prefix.toString()).toBe("2001:db8:1::/64");
  });

  test("§6.2.5: the last one has a lifetime of 0", () => {
    expect(written({ lifetime: 60_000 }, true).header).toMatchObject({ value: { lifetime: 0 } });
  });

  test("whatever is said is read again (RFC 4191, RFC 8106)", () => {
    const address = fc
      .tuple(fc.nat(), fc.nat(), fc.nat(), fc.nat())
      .map(([a, b, c, d]) => new IpAddress(6, 0x20000000 | (a >>> 4), b, c, d));
    const lifetime = fc.oneof(
      fc.integer({ min: 1, max: 1_000_000 }).map((s) => s * 1000),
      fc.constant(Infinity),
    );
    const prefix = fc.tuple(address, fc.integer({ min: 0, max: 128 })).map(([a, length]) => new Prefix(a, length));
    const preference = fc.constantFrom("low" as const, "medium" as const, "high" as const);
    fc.assert(
      fc.property(
        fc.record({
          prefixes: fc.array(fc.record({ prefix, onLink: fc.boolean(), validLifetime: lifetime }), { maxLength: 8 }),
          routes: fc.array(fc.record({ prefix, preference, lifetime }), { maxLength: 8 }),
          nameServers: fc.array(address, { maxLength: 8 }),
          search: fc.array(fc.constantFrom("lan", "a.example", "b-1.c.example"), { maxLength: 4 }),
          mtu: fc.integer({ min: 1280, max: 65_535 }),
          lifetime: fc.integer({ min: 0, max: 9000 }).map((s) => s * 1000),
        }),
        (options) => {
          const { read, bytes } = written(options);
          expect(bytes.length % 8).toBe(0);
          expect(read.mtu).toBe(options.mtu);
          expect(read.prefixes.map(({ onLink, validLifetime }) => ({ onLink, validLifetime }))).toEqual(
            options.prefixes.map(({ onLink, validLifetime }) => ({ onLink, validLifetime })),
          );
          for (const [index, each] of options.prefixes.entries()) {
            expect(read.prefixes[index]?.prefix.length).toBe(each.prefix.length);
            expect(each.prefix.contains(read.prefixes[index]!.prefix.address)).toBe(true);
          }
          const rank = { low: -1, medium: 0, high: 1 };
          expect(read.routes.map((each) => [each.prefix.length, each.preference, each.lifetime])).toEqual(
            options.routes.map((each) => [each.prefix.length, rank[each.preference], each.lifetime]),
          );
          expect(read.nameServers.flatMap(({ values }) => values.map(String))).toEqual(options.nameServers.map(String));
          expect(read.search.flatMap(({ values }) => values)).toEqual(options.search);
        },
      ),
    );
  });

  test("what makes no sense is refused by name", () => {
    const refused =
      (options: RouterAdvertisementOptions): (() => unknown) =>
      () =>
        written(options);
    expect(refused({ lifetime: -1 })).toThrow("advertise.lifetime: -1 is not from 0 to 9000000");
    expect(refused({ mtu: 1000 })).toThrow("advertise.mtu: 1000 is not from 1280 to 65535");
    expect(refused({ hopLimit: 256 })).toThrow("advertise.hopLimit");
    expect(refused({ search: ["not a name"] })).toThrow(`advertise.search: "not a name" is no domain`);
    expect(refused({ nameServers: [IpAddress.parse("10.0.0.1")] })).toThrow("10.0.0.1 is not of IPv6");
    expect(refused({ prefixes: [{ prefix: own[0]!, validLifetime: 1000, preferredLifetime: 2000 }] })).toThrow(
      "is preferred for longer than it is valid",
    );
    const long = `${"a".repeat(63)}.`.repeat(3);
    expect(
      refused({
        search: [`${long}a`, `${long}b`, `${long}c`, `${long}d`],
        prefixes: Array(8).fill({ prefix: own[0]! }),
        routes: Array(8).fill({ prefix: own[0]! }),
      }),
    ).toThrow("of 1240 at most");
  });
});
