import { IpAddress } from "@tesserae/device/address";
import { describe, expect, test } from "vitest";
import { matchingBits, selectSource, type SourceCandidate, sortDestinations } from "./address-selection.ts";

function candidate(text: string, more: Partial<SourceCandidate> = {}): SourceCandidate {
  const address = IpAddress.parse(text);
  return { address, prefixLength: 64, deprecated: false, temporary: false, interface: 1, ...more };
}

const choose = (destination: string, ...candidates: SourceCandidate[]): string | undefined =>
  selectSource(IpAddress.parse(destination), candidates, 1)?.address.toString();

describe("RFC 6724 §5 and §10.1: the source address", () => {
  test.each<[string, string, SourceCandidate[], string]>([
    ["rule 2", "2001:db8:1::1", [candidate("2001:db8:3::1"), candidate("fe80::1")], "2001:db8:3::1"],
    ["rule 2", "ff05::1", [candidate("2001:db8:3::1"), candidate("fe80::1")], "2001:db8:3::1"],
    [
      "rule 1",
      "2001:db8:1::1",
      [candidate("2001:db8:2::1"), candidate("2001:db8:1::1", { deprecated: true })],
      "2001:db8:1::1",
    ],
    ["rule 2", "fe80::1", [candidate("2001:db8:1::1"), candidate("fe80::2", { deprecated: true })], "fe80::2"],
    [
      "rule 3",
      "2001:db8:1::1",
      [candidate("2001:db8:1::2", { deprecated: true }), candidate("2001:db8:2::2")],
      "2001:db8:2::2",
    ],
    [
      "rule 5",
      "2001:db8:1::1",
      [candidate("2001:db8:1::2", { interface: 2 }), candidate("2001:db8:3::2")],
      "2001:db8:3::2",
    ],
    [
      "rule 6",
      "2002:c633:6401::1",
      [candidate("2002:c633:6401::d5e3:7953:13eb:22e8"), candidate("2001:db8:1::2")],
      "2002:c633:6401:0:d5e3:7953:13eb:22e8",
    ],
    ["rule 6", "2001:db8:1::1", [candidate("fd00::1"), candidate("2001:db8:9::1")], "2001:db8:9::1"],
    [
      "rule 7",
      "2001:db8:1::d5e3:0:0:1",
      [candidate("2001:db8:1::2"), candidate("2001:db8:1::d5e3:7953:13eb:22e8", { temporary: true })],
      "2001:db8:1:0:d5e3:7953:13eb:22e8",
    ],
    ["rule 8", "2001:db8:1::1", [candidate("2001:db8:3::2"), candidate("2001:db8:1::2")], "2001:db8:1::2"],
  ])("%s, to %s", (_, destination, candidates, expected) => {
    expect(choose(destination, ...candidates)).toBe(expected);
    expect(choose(destination, ...[...candidates].reverse())).toBe(expected);
  });

  test("none of none", () => expect(choose("2001:db8::1")).toBeUndefined());
});

describe("RFC 6724 §6 and §10.2: the order of destinations", () => {
  const sort = (sources: Readonly<Record<string, string | undefined>>): string[] =>
    sortDestinations(
      Object.keys(sources).map((each) => IpAddress.parse(each)),
      (destination) => {
        const source = sources[destination.toString()];
        return source === undefined ? undefined : IpAddress.parse(source);
      },
    ).map(String);

  test.each<[string, Readonly<Record<string, string | undefined>>, string[]]>([
    [
      "rule 1: what can be reached",
      { "2001:db8:1::1": undefined, "198.51.100.121": "198.51.100.117" },
      ["198.51.100.121", "2001:db8:1::1"],
    ],
    [
      "rule 2: scopes that match",
      { "2001:db8:1::1": "fe80::1", "198.51.100.121": "198.51.100.117" },
      ["198.51.100.121", "2001:db8:1::1"],
    ],
    [
      "rule 2",
      { "198.51.100.121": "169.254.13.78", "2001:db8:1::1": "2001:db8:1::2" },
      ["2001:db8:1::1", "198.51.100.121"],
    ],
    [
      "rule 5: labels that match",
      { "2002:c633:6401::1": "2001:db8:1::2", "2001:db8:1::1": "2001:db8:1::2" },
      ["2001:db8:1::1", "2002:c633:6401::1"],
    ],
    ["rule 6: precedence", { "10.1.2.3": "10.1.2.4", "2001:db8:1::1": "2001:db8:1::2" }, ["2001:db8:1::1", "10.1.2.3"]],
    [
      "rule 6: IPv4 before unique local addresses",
      { "fd00::1": "fd00::2", "10.1.2.3": "10.1.2.4" },
      ["10.1.2.3", "fd00::1"],
    ],
    [
      "rule 8: the smaller scope",
      { "2001:db8:1::1": "2001:db8:1::2", "fe80::1": "fe80::2" },
      ["fe80::1", "2001:db8:1::1"],
    ],
    [
      "rule 9: the longest match",
      { "2001:db8:3ffe::1": "2001:db8:3f44::2", "2001:db8:1::1": "2001:db8:1::2" },
      ["2001:db8:1::1", "2001:db8:3ffe::1"],
    ],
    ["rule 10: else as they came", { "10.9.9.9": "10.0.0.1", "10.0.0.2": "10.0.0.1" }, ["10.9.9.9", "10.0.0.2"]],
  ])("%s", (_, sources, expected) => {
    expect(sort(sources)).toEqual(expected);
  });

  test("§2.2: matching bits", () => {
    const bits = (a: string, b: string): number => matchingBits(IpAddress.parse(a), IpAddress.parse(b), 128);
    expect(bits("2001:db8::1", "2001:db8::1")).toBe(128);
    expect(bits("2001:db8::1", "2001:db8::")).toBe(127);
    expect(bits("2001:db8::", "2001:db8:0:0:8000::")).toBe(64);
    expect(bits("::", "8000::")).toBe(0);
    expect(matchingBits(IpAddress.parse("fd00::1"), IpAddress.parse("fd00::1"), 64)).toBe(64);
  });
});
