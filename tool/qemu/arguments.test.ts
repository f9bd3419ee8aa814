import { describe, expect, test } from "vitest";
import { machineArguments, type MachineOptions } from "./arguments.ts";

const usual: MachineOptions = {
  boot: { kernel: "/k", image: "/i", commandLine: 'port=80 name="a, b"' },
  memory: 256 * 2 ** 20,
  machine: "q35",
  accelerator: "kvm",
  networks: [{ kind: "user", forwards: [{ address: "127.0.0.1", hostPort: 8080, guestPort: 80 }] }],
  blocks: [{ file: "/a,b", readOnly: true }],
};

/** The value after each mention of an option. */
function values(args: readonly string[], option: string): readonly (string | undefined)[] {
  return args.flatMap((each, index) => (each === option ? [args[index + 1]] : []));
}

describe("QEMU's command line", () => {
  test("the kernel, its image and its words; commas only where they are no separators", () => {
    const args = machineArguments(usual);
    expect(values(args, "-kernel")).toEqual(["/k"]);
    expect(values(args, "-initrd")).toEqual(["/i"]);
    expect(values(args, "-append")).toEqual(['port=80 name="a, b"']);
    expect(values(args, "-m")).toEqual(["256M"]);
    expect(values(args, "-cpu")).toEqual(["host"]);
    expect(values(args, "-drive")).toEqual(["if=none,id=block0,format=raw,file=/a,,b,read-only=on"]);
    expect(values(args, "-netdev")).toEqual([
      "user,id=net0,ipv6=off,hostfwd=tcp:127.0.0.1:8080-:80,hostfwd=udp:127.0.0.1:8080-:80",
    ]);
  });

  test.each([
    ["q35", "virtio-net-pci,netdev=net0,disable-legacy=on,romfile="],
    ["pc", "virtio-net-pci,netdev=net0,disable-legacy=on,romfile="],
    ["microvm", "virtio-net-device,netdev=net0"],
  ] as const)("devices are as the bus of %s wants them", (machine, card) => {
    const args = machineArguments({ ...usual, machine, accelerator: "tcg" });
    expect(values(args, "-device")).toContain(card);
    expect(values(args, "-cpu")).toEqual(["max"]);
    expect(args.includes("virtio-mmio.force-legacy=false")).toBe(machine === "microvm");
  });

  test("an image beside RAM", () => {
    const boot = { kernel: "/k", image: "/i,j", mapped: 90 * 2 ** 20, commandLine: "" };
    const args = machineArguments({ ...usual, boot });
    expect(values(args, "-M")).toEqual(["q35,nvdimm=on"]);
    expect(values(args, "-m")).toEqual(["256M,slots=1,maxmem=2304M"]);
    expect(values(args, "-object")).toContain(
      "memory-backend-file,id=image,share=on,readonly=on,mem-path=/i,,j,size=94371840",
    );
    expect(args).not.toContain("-initrd");
  });

  test("a tap device, a capture, a debugger, a disk to boot from", () => {
    const args = machineArguments({
      ...usual,
      boot: { disk: "/d", firmware: "/f" },
      networks: [{ kind: "tap", name: "tap0" }],
      pcap: "/p,q",
      gdb: 1234,
      more: ["-snapshot"],
    });
    expect(values(args, "-netdev")).toEqual(["tap,id=net0,ifname=tap0,script=no,downscript=no"]);
    expect(values(args, "-object")).toContain("filter-dump,id=capture,netdev=net0,maxlen=65536,file=/p,,q");
    expect(values(args, "-gdb")).toEqual(["tcp:127.0.0.1:1234"]);
    expect(args).toContain("-S");
    expect(values(args, "-bios")).toEqual(["/f"]);
    expect(values(args, "-drive")).toContain("if=none,id=boot,format=raw,file=/d");
    expect(args.at(-1)).toBe("-snapshot");
    expect(args).not.toContain("-kernel");
  });
});
