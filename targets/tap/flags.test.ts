import type { KeyPlan } from "@tesserae/image/key";
import { describe, expect, test } from "vitest";
import { readFlags } from "./flags.ts";

const key: KeyPlan = { name: "ipv4", type: { kind: "interface4" }, default: "10.0.0.2/24 via 10.0.0.1", doc: "" };

describe("the kernel's address", () => {
  test.each([
    [undefined, "10.0.0.1/24"],
    ["10.9.0.2/16 via 10.9.0.254", "10.9.0.254/16"],
    ["10.9.7.2/16", "10.9.0.1/16"],
    ["10.9.0.1/16", "10.9.0.2/16"],
    ["10.9.0.5/30 via 192.0.2.1", "10.9.0.6/30"],
    ["10.9.0.5/31", undefined],
    ["10.9.0.5/32", undefined],
    ["dhcp", undefined],
    ["nonsense", undefined],
  ])("for our own %s is %s", (ipv4, expected) => {
    const [first] = readFlags({}, [key], ipv4 === undefined ? {} : { ipv4 }).devices;
    expect(first?.hostAddress?.toString()).toBe(expected);
  });

  test("can be given", () => {
    const { devices } = readFlags({ "host-address": "192.0.2.1/24" }, [key], {});
    expect(devices.map(({ name, hostAddress }) => `${name} ${String(hostAddress)}`)).toEqual(["tap0 192.0.2.1/24"]);
  });

  test("of several devices, each has its own", () => {
    const flags = { tap: "wan0, lan0,dmz0", "host-address": "192.0.2.1/24,10.7.0.9/24" };
    const { devices } = readFlags(flags, [key], {});
    expect(devices.map(({ name, hostAddress }) => `${name} ${String(hostAddress)}`)).toEqual([
      "wan0 192.0.2.1/24",
      "lan0 10.7.0.9/24",
      "dmz0 undefined",
    ]);
    const [first, second] = readFlags({ tap: "a,b", "host-address": ",10.7.0.9/24" }, [key], {}).devices;
    expect([first?.hostAddress, second?.hostAddress].map(String)).toEqual(["10.0.0.1/24", "10.7.0.9/24"]);
  });
});

test("--xdp takes interfaces over, beside tap devices where those are named, too", () => {
  const kinds = (flags: Record<string, string>): string[] =>
    readFlags(flags, [key], {}).devices.map(({ kind, name }) => `${kind} ${name}`);
  expect(kinds({ xdp: "eth1, eth2" })).toEqual(["xdp eth1", "xdp eth2"]);
  expect(kinds({ xdp: "eth1", tap: "t7" })).toEqual(["tap t7", "xdp eth1"]);
});

describe("the stack's address", () => {
  test("is left to its key when no flag says more", () => {
    expect(readFlags({}, [key], {}).ipv4).toBeUndefined();
  });

  test("--gateway replaces the router, --dhcp everything", () => {
    expect(readFlags({ gateway: "10.0.0.9" }, [key], {}).ipv4).toBe("10.0.0.2/24 via 10.0.0.9");
    expect(readFlags({ gateway: "10.1.0.9" }, [key], { ipv4: "10.1.0.2/24" }).ipv4).toBe("10.1.0.2/24 via 10.1.0.9");
    expect(readFlags({ dhcp: "" }, [key], {})).toMatchObject({
      ipv4: "dhcp",
      devices: [{ kind: "tap", name: "tap0", hostAddress: undefined }],
    });
  });
});

test("faults are shares and durations", () => {
  const flags = { loss: "5%", duplicate: "0.25", corrupt: ".5", reorder: "100%", delay: "50", jitter: "0.5s" };
  const expected = { loss: 0.05, duplicate: 0.25, corrupt: 0.5, reorder: 1, delay: 50, jitter: 500 };
  expect(readFlags(flags, [], {}).faults).toEqual(expected);
  expect(readFlags({}, [], {}).faults).toBeUndefined();
});

test.each([
  [{ tap: "a/b" }, '--tap: "a/b" is no interface name'],
  [{ tap: "a,a" }, '--tap: "a,a" has one device twice'],
  [{ xdp: "a/b" }, '--xdp: "a/b" is no interface name'],
  [{ xdp: "a,b", tap: "b" }, '--xdp: "b" is a tap device here'],
  [{ "host-address": "10.0.0.1/24,10.0.1.1/24" }, "--host-address: more addresses than tap devices"],
  [{ mtu: "100" }, '--mtu: "100" is not an integer from 576 to 65521'],
  [{ mtu: "1e9x" }, "--mtu"],
  [{ loss: "120%" }, '--loss: "120%" is not a share'],
  [{ loss: "-1" }, "--loss"],
  [{ loss: "" }, "--loss"],
  [{ delay: "5m" }, '--delay: "5m" is not a duration'],
  [{ "host-address": "10.0.0.1" }, '--host-address: "10.0.0.1" is not an address with a prefix length'],
  [{ "host-address": "fd00::1/64" }, '"fd00::1/64" is not an IPv4 address'],
  [{ gateway: "fd00::1" }, '--gateway: "fd00::1" is not an IPv4 address'],
  [{ gateway: "10.0.0.1", dhcp: "" }, "with --dhcp the router comes from the network"],
])("%j is refused in words", (flags, message) => {
  expect(() => readFlags(flags as unknown as Record<string, string>, [key], {})).toThrow(message);
});

test("--dhcp on an image without a stack of its own is refused", () => {
  expect(() => readFlags({ dhcp: "" }, [], {})).toThrow("no stack of its own");
});
