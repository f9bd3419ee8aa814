import { IpAddress, Prefix } from "@tesserae/device/address";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { describeType, flagOf, formatDuration, formatKey, parseKey, type KeyType } from "./key.ts";

function value(type: KeyType, text: string): unknown {
  const parsed = parseKey(type, text);
  return parsed.ok ? parsed.value : parsed.message;
}

describe("parseKey", () => {
  test.each<[KeyType, string, unknown]>([
    [{ kind: "string" }, "", ""],
    [{ kind: "integer", min: -1, max: 3 }, "-1", -1],
    [{ kind: "integer" }, "+12", 12],
    [{ kind: "port" }, "65535", 65535],
    [{ kind: "boolean" }, "false", false],
    [{ kind: "duration" }, "1.5s", 1500],
    [{ kind: "duration" }, "2 m", 120_000],
    [{ kind: "bytes" }, "64KiB", 65536],
    [{ kind: "bytes" }, "1.5kb", 1500],
    [{ kind: "bytes" }, "512", 512],
    [{ kind: "address" }, "fd00::2", IpAddress.parse("fd00::2")],
    [{ kind: "prefix" }, "10.0.0.2/24", Prefix.parse("10.0.0.2/24")],
    [{ kind: "endpoint" }, "[::1]:80", { address: IpAddress.loopback6, port: 80 }],
    [{ kind: "interface4" }, "dhcp", { kind: "dhcp" }],
    [
      { kind: "interface4" },
      "10.0.0.2/24 via 10.0.0.1",
      { kind: "static", address: Prefix.parse("10.0.0.2/24"), gateway: IpAddress.parse("10.0.0.1") },
    ],
    [{ kind: "interface6" }, "auto", { kind: "auto" }],
    [{ kind: "interface6" }, "off", { kind: "off" }],
    [
      { kind: "interface6" },
      "fd00::2/64 via fe80::1",
      { kind: "static", address: Prefix.parse("fd00::2/64"), gateway: IpAddress.parse("fe80::1") },
    ],
    [{ kind: "choice", choices: ["a", "b"] }, "b", "b"],
  ])("%j reads %j", (type, text, expected) => {
    expect(value(type, text)).toEqual(expected);
  });

  test.each<[KeyType, string]>([
    [{ kind: "string", maxLength: 3 }, "four"],
    [{ kind: "integer", min: 1, max: 3 }, "4"],
    [{ kind: "integer" }, "0x10"],
    [{ kind: "integer" }, "9007199254740993"],
    [{ kind: "port" }, "65536"],
    [{ kind: "boolean" }, "yes"],
    [{ kind: "duration" }, "5"],
    [{ kind: "duration", max: 1000 }, "2s"],
    [{ kind: "bytes" }, "1.5"],
    [{ kind: "address" }, "010.0.0.1"],
    [{ kind: "prefix" }, "10.0.0.2/33"],
    [{ kind: "endpoint" }, "::1:80"],
    [{ kind: "endpoint" }, "[10.0.0.1]:80"],
    [{ kind: "interface4" }, "fd00::2/64"],
    [{ kind: "interface4" }, "10.0.0.2/24 via fd00::1"],
    [{ kind: "interface6" }, "10.0.0.2/24"],
    [{ kind: "interface6" }, "dhcp"],
    [{ kind: "interface6" }, "fd00::2/64 via 10.0.0.1"],
    [{ kind: "choice", choices: ["a", "b"] }, "c"],
  ])("%j refuses %j and says what is allowed", (type, text) => {
    expect(value(type, text)).toBe(`"${text}" is not ${describeType(type)}`);
  });

  test("a long text is not repeated whole", () => {
    expect(value({ kind: "port" }, "9".repeat(5000))).toHaveLength(80 + `"…" is not a port from 0 to 65535`.length);
  });

  test("formatKey is its inverse", () => {
    const words = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
    const address = fc.oneof(
      words.map((word) => IpAddress.v4(word)),
      fc.tuple(words, words, words, words).map((each) => new IpAddress(6, ...each)),
    );
    const port = fc.integer({ min: 0, max: 65535 });
    const prefix4 = fc.tuple(words, fc.integer({ min: 0, max: 32 })).map(([w, n]) => new Prefix(IpAddress.v4(w), n));
    const round = (kind: KeyType, given: Parameters<typeof formatKey>[0]): void => {
      expect(value(kind, formatKey(given))).toEqual(given);
    };
    fc.assert(fc.property(address, (each) => round({ kind: "address" }, each)));
    fc.assert(fc.property(address, port, (each, at) => round({ kind: "endpoint" }, { address: each, port: at })));
    fc.assert(fc.property(prefix4, (each) => round({ kind: "prefix" }, each)));
    fc.assert(
      fc.property(prefix4, words, (each, gateway) =>
        round({ kind: "interface4" }, { kind: "static", address: each, gateway: IpAddress.v4(gateway) }),
      ),
    );
    fc.assert(fc.property(fc.maxSafeInteger(), (each) => round({ kind: "integer" }, each)));
  });

  test("formatDuration gives what parses to the same milliseconds", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 10 ** 10 }), (ms) => {
        expect(value({ kind: "duration" }, formatDuration(ms))).toBeCloseTo(ms, 5);
      }),
    );
    expect([1500, 120_000, 0, 250, 86_400_000].map(formatDuration)).toEqual(["1.5s", "2m", "0ms", "250ms", "1d"]);
  });

  test("flagOf", () => {
    expect(flagOf("logLevel")).toBe("log-level");
  });
});
