import { Prefix } from "@tesserae/device/address";
import { expect, test } from "vitest";
import { setupAdvice, setupCommands } from "./setup.ts";
import { checkInterfaceName } from "./tun.ts";

test("the commands make exactly what was asked for", () => {
  expect(setupCommands({ name: "tap7" }, "alice")).toEqual([
    "sudo ip tuntap add dev tap7 mode tap user alice",
    "sudo ip link set dev tap7 up",
  ]);
  const setup = { name: "tap7", mtu: 9000, hostAddress: Prefix.parse("10.0.0.1/24"), queue: 5000 };
  expect(setupCommands(setup, "alice")).toEqual([
    "sudo ip tuntap add dev tap7 mode tap user alice",
    "sudo ip link set dev tap7 mtu 9000",
    "sudo ip link set dev tap7 txqueuelen 5000",
    "sudo ip address add 10.0.0.1/24 dev tap7",
    "sudo ip link set dev tap7 up",
  ]);
  expect(setupAdvice(setup)).toContain("unshare --user --map-root-user --net");
});

test.each(["tap0", "a", "x.y-z_0", "fünfzehn-byte1"])("%j is an interface name", (name) => {
  expect(() => checkInterfaceName(name)).not.toThrow();
});

test.each(["", " ", "a b", "a/b", "a:b", "a%d", ".", "..", "sixteen-letters-", "fünfzehn-bytes-"])(
  "%j is none",
  (name) => {
    expect(() => checkInterfaceName(name)).toThrow(`"${name}" is no interface name`);
  },
);
