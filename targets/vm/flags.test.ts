import type { KeyPlan } from "@tesserae/image/key";
import { describe, expect, test } from "vitest";
import { flagsFor, readFlags } from "./flags.ts";

const stack: KeyPlan = { name: "ipv4", type: { kind: "interface4" }, default: "dhcp", doc: "" };
const log: KeyPlan = { name: "logLevel", type: { kind: "string" }, default: "info", doc: "" };

describe("words of the boot command line that are no keys", () => {
  test("are there only for images that have a use for them", () => {
    const names = (keys: readonly KeyPlan[]): readonly string[] => flagsFor(keys).map((flag) => flag.name);
    expect(names([stack, log])).toEqual(["dhcp", "gateway", "log"]);
    expect(names([log])).toEqual(["log"]);
    expect(names([])).toEqual([]);
  });

  test.each([
    [{}, {}, {}],
    [{ dhcp: "" }, { ipv4: "10.0.0.2/24" }, { ipv4: "dhcp" }],
    [{ gateway: "10.0.0.1" }, { ipv4: "10.0.0.2/24" }, { ipv4: "10.0.0.2/24 via 10.0.0.1" }],
    [{ log: "debug" }, {}, { logLevel: "debug" }],
  ])("%j with keys %j", (flags, given, set) => {
    expect(readFlags(flags, [stack, log], given)).toEqual(set);
  });

  test.each([
    [{ gateway: "10.0.0.1" }, {}, "--gateway: give our own address with --ipv4"],
    [{ gateway: "ten" }, { ipv4: "10.0.0.2/24" }, '--gateway: "ten" is not an IPv4 address'],
    [{ gateway: "10.0.0.1", dhcp: "" }, {}, "--gateway: with --dhcp the router comes from the network"],
  ])("%j with keys %j is refused", (flags, given, words) => {
    expect(() => readFlags(flags, [stack, log], given)).toThrow(words);
  });
});
