import { networkInterfaces } from "node:os";
import { IpAddress, MacAddress, Prefix } from "@tesserae/device/address";
import { createLink } from "@tesserae/netif/link";
import { createRandom } from "@tesserae/node/random";
import { createTimers } from "@tesserae/node/timers";
import { createStack } from "@tesserae/tcpip/stack/stack";
import { afterEach, expect, test } from "vitest";
import { patchInterfaces } from "./interfaces-patch.ts";
import { Patches } from "./patches.ts";

const patches = new Patches();
afterEach(() => patches.restore());

test("os.networkInterfaces gives the addresses of the stack, until it is given back", async () => {
  const before = networkInterfaces();
  const timers = createTimers();
  const netif = createLink({ timers, macs: [MacAddress.parse("02:00:00:00:00:07"), MacAddress.zero] }).a;
  const stack = await createStack({
    ...{ netif, timers, random: createRandom() },
    ipv4: { kind: "static", address: Prefix.parse("10.0.4.1/22"), probe: false },
  });
  patchInterfaces(stack, patches);
  // The name that a module imported is ours as well.
  const listed = networkInterfaces();
  await stack.close();
  timers.close();
  expect(Object.keys(listed)).toEqual(["lo", netif.name]);
  expect(listed["lo"]).toEqual([
    {
      ...{ address: "127.0.0.1", netmask: "255.0.0.0", family: "IPv4", mac: "00:00:00:00:00:00", internal: true },
      cidr: "127.0.0.1/8",
    },
  ]);
  expect(listed[netif.name]).toEqual([
    {
      ...{ address: "10.0.4.1", netmask: "255.255.252.0", family: "IPv4", mac: netif.mac.toString() },
      ...{ internal: false, cidr: "10.0.4.1/22" },
    },
  ]);
  patches.restore();
  expect(networkInterfaces()).toEqual(before);
});

test("a stack that tells its addresses alone has them listed one by one", async () => {
  const stack = { addresses: [IpAddress.parse("192.0.2.1"), IpAddress.parse("2001:db8::1")] };
  // as: nothing else of it is asked for.
  patchInterfaces(stack as unknown as Parameters<typeof patchInterfaces>[0], patches);
  expect(networkInterfaces()["eth0"]?.map(({ cidr, netmask }) => [cidr, netmask])).toEqual([
    ["192.0.2.1/32", "255.255.255.255"],
    ["2001:db8::1/128", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
  ]);
});

test("IPv6 addresses are listed with their prefixes, and loopback with them", async () => {
  const timers = createTimers();
  const { a } = createLink({ timers });
  const stack = await createStack({
    ...{ netif: a, timers, random: createRandom() },
    ipv4: { kind: "static", address: Prefix.parse("10.0.4.1/22") },
    ipv6: { kind: "static", address: Prefix.parse("fd00:7::1/48") },
  });
  patchInterfaces(stack, patches);
  const listed = networkInterfaces();
  await stack.close();
  timers.close();
  expect(listed["lo"]?.map(({ cidr }) => cidr)).toEqual(["127.0.0.1/8", "::1/128"]);
  expect(listed[a.name]).toEqual([
    expect.objectContaining({ cidr: "10.0.4.1/22" }),
    {
      ...{ address: "fd00:7::1", netmask: "ffff:ffff:ffff::", family: "IPv6", mac: a.mac.toString() },
      ...{ internal: false, cidr: "fd00:7::1/48", scopeid: 0 },
    },
  ]);
});
