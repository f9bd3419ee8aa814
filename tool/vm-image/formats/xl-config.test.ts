import { expect, test } from "vitest";
import { xlConfig } from "./xl-config.ts";

test("a guest has one setting a line", () => {
  const text = xlConfig({
    name: "www",
    kernel: "/srv/kernel.elf",
    ramdisk: "/srv/image.bin",
    commandLine: 'port=80 name="a b"',
    memory: 256,
    interfaces: [{ bridge: "xenbr0" }, { bridge: "xenbr1", mac: "00:16:3e:00:00:01", backend: "net" }],
    disks: [
      { file: "/srv/disk.raw", device: "xvda" },
      { file: "/srv/other.raw", device: "xvdb", readOnly: true },
    ],
  });
  expect(text.split("\n")).toEqual([
    'name = "www"',
    'type = "pvh"',
    'kernel = "/srv/kernel.elf"',
    'ramdisk = "/srv/image.bin"',
    `cmdline = 'port=80 name="a b"'`,
    "memory = 256",
    "vcpus = 1",
    'vif = [ "bridge=xenbr0", "bridge=xenbr1,mac=00:16:3e:00:00:01,backend=net" ]',
    'disk = [ "format=raw,vdev=xvda,access=rw,target=/srv/disk.raw", ' +
      '"format=raw,vdev=xvdb,access=ro,target=/srv/other.raw" ]',
    'on_poweroff = "destroy"',
    'on_reboot = "restart"',
    'on_crash = "destroy"',
    "",
  ]);
});

test.each([`both " and '`, "two\nlines"])("%j cannot be written", (commandLine) => {
  expect(() => xlConfig({ name: "x", kernel: "/k", memory: 32, commandLine })).toThrow("the command line cannot be");
});
