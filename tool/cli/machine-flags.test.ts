import path from "node:path";
import type { KeyPlan } from "@tesserae/image/key";
import { describe, expect, test } from "vitest";
import { readMachineFlags, toWords, valueOfWord } from "./machine-flags.ts";

describe("flags of the machine", () => {
  test("have defaults, and leave what is the image's", () => {
    const { flags, image } = readMachineFlags(["--port", "80", "x=1"]);
    expect(flags).toEqual({
      memory: 256 * 2 ** 20,
      machine: "q35",
      imageIn: "nvdimm",
      accelerator: undefined,
      block: [],
      tap: undefined,
      hostAddress: undefined,
      forward: [],
      pcap: undefined,
      gdb: undefined,
    });
    expect(image).toEqual(["--port", "80", "x=1"]);
  });

  test("are taken wherever they are; some may be given again", () => {
    const { flags, image } = readMachineFlags([
      ...["--memory", "1G", "--port=80", "--block", "a", "--machine=microvm", "--block=/b", "--gdb", "--verbose"],
      ...[
        "--forward",
        "8080:80",
        "--forward=53",
        "--pcap",
        "x.pcap",
        "--accelerator",
        "tcg",
        "--cpus",
        "1",
        "--tap",
        "t",
      ],
    ]);
    expect(flags).toMatchObject({
      memory: 2 ** 30,
      machine: "microvm",
      imageIn: "memory",
      accelerator: "tcg",
      block: [path.resolve("a"), "/b"],
      forward: ["8080:80", "53"],
      pcap: path.resolve("x.pcap"),
      gdb: 1234,
      tap: "t",
    });
    expect(image).toEqual(["--port=80", "--verbose"]);
  });

  test.each([
    ["64M", 64],
    ["64m", 64],
    ["0.5G", 512],
    ["100MB", 96],
    ["128MiB", 128],
  ])("--memory %s", (text, mebibytes) => {
    expect(readMachineFlags(["--memory", text]).flags.memory).toBe(mebibytes * 2 ** 20);
  });

  test.each([
    [["--memory", "lots"], '--memory: "lots" is not a size such as 256M or 1G'],
    [["--image-in", "disk"], '--image-in: "disk"'],
    [["--image-in", "nvdimm", "--machine", "microvm"], "--image-in nvdimm: a microvm has no NVDIMM"],
    [["--memory", "256"], '--memory: "256" is not a size'],
    [["--memory"], "--memory needs a value"],
    [["--machine", "q53"], '--machine: "q53" is not one (did you mean "q35"?)'],
    [["--cpus", "2"], '--cpus: "2" cannot be'],
    [["--gdb=x"], '--gdb: "x" is not a port'],
    [["--accelerator=vroom"], '--accelerator: "vroom" is not one'],
  ])("%j is refused", (words, message) => {
    expect(() => readMachineFlags(words)).toThrow(message);
  });
});

describe("flags of the image as words of the boot command line", () => {
  const keys: readonly KeyPlan[] = [
    { name: "port", type: { kind: "port" }, default: "80", doc: "" },
    { name: "verbose", type: { kind: "boolean" }, default: "false", doc: "" },
  ];

  test.each([
    [["--port", "90"], ["port=90"]],
    [
      ["--port=90", "--verbose", "--no-verbose"],
      ["port=90", "verbose", "no-verbose"],
    ],
    [
      ["--ipv4", "10.0.0.2/24 via 10.0.0.1", "--dhcp"],
      ["ipv4", "10.0.0.2/24 via 10.0.0.1", "dhcp"],
    ],
    [["--log", "debug"], ["log=debug"]],
    [
      ["port=90", "help"],
      ["port=90", "help"],
    ],
    [["--help"], ["help"]],
    [["-h"], ["help"]],
    [
      ["--prot", "90"],
      ["prot", "90"],
    ],
    [["--port"], ["port"]],
  ])("%j", (image, words) => {
    expect(toWords(image, keys, { dhcp: "", log: "LEVEL" })).toEqual(words);
  });

  test("the last word of a name counts", () => {
    expect(valueOfWord(["port=1", "port=2", "dhcp"], "port")).toBe("2");
    expect(valueOfWord(["port=1", "dhcp"], "dhcp")).toBe("");
    expect(valueOfWord(["support=1"], "port")).toBeUndefined();
  });
});
