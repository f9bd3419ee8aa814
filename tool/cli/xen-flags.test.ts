import path from "node:path";
import { describe, expect, test } from "vitest";
import { readXenFlags } from "./xen-flags.ts";

describe("flags of a guest of Xen's", () => {
  test("have defaults, and leave what is the image's", () => {
    const { flags, image } = readXenFlags(["--port", "80", "x=1"]);
    expect(flags).toEqual({
      memory: 256 * 2 ** 20,
      block: [],
      bridge: undefined,
      emulate: false,
      forward: [],
      pcap: undefined,
    });
    expect(image).toEqual(["--port", "80", "x=1"]);
  });

  test("are taken wherever they are", () => {
    const words = ["--emulate", "--port=80", "--memory", "1G", "--block", "a", "--forward", "8080:80", "--pcap=x.pcap"];
    const { flags, image } = readXenFlags(words);
    expect(flags).toEqual({
      memory: 2 ** 30,
      block: [path.resolve("a")],
      bridge: undefined,
      emulate: true,
      forward: ["8080:80"],
      pcap: path.resolve("x.pcap"),
    });
    expect(image).toEqual(["--port=80"]);
  });

  test.each([
    [["--memory", "lots"], '--memory: "lots" is not a size'],
    [["--forward", "80"], "--forward needs --emulate"],
    [["--pcap", "x"], "--pcap needs --emulate"],
    [["--emulate=no"], "--emulate takes no value"],
    [["--bridge", "a b"], '--bridge: "a b" is not the name of a bridge'],
    [["--bridge", "br0", "--emulate"], "--bridge: the emulated host has its own"],
    [["--block"], "--block needs a value"],
  ])("%j is refused", (words, message) => {
    expect(() => readXenFlags(words)).toThrow(message);
  });
});
