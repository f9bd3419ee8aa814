import type { FlagPlan } from "@tesserae/image/arguments";
import type { KeyPlan } from "@tesserae/image/key";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { describeWords, parseCommandLine, quoteWord, splitWords } from "./command-line.ts";

const keys: readonly KeyPlan[] = [
  { name: "port", type: { kind: "port" }, default: "80", doc: "port to serve on" },
  { name: "serverName", type: { kind: "string" }, doc: "who we are" },
  { name: "verbose", type: { kind: "boolean" }, default: "false", doc: "say more" },
];
const flags: readonly FlagPlan[] = [
  { name: "dhcp", doc: "ask the network" },
  { name: "log", value: "LEVEL", doc: "what to log" },
];

function read(text: string): unknown {
  const parsed = parseCommandLine(text, keys, flags);
  return parsed.ok ? { ...parsed.keys, ...parsed.flags, ...(parsed.help ? { help: true } : {}) } : parsed.message;
}

describe("words", () => {
  test.each([
    ["", []],
    [" a  b\tc\n", ["a", "b", "c"]],
    ['ipv4="10.0.0.2/24 via 10.0.0.1" b', ["ipv4=10.0.0.2/24 via 10.0.0.1", "b"]],
    ['"a b=c d"', ["a b=c d"]],
    ['name=""', ["name="]],
    ['say="\\"hi\\" \\\\ \\n"', ['say="hi" \\ \\n']],
    ["path=C:\\x", ["path=C:\\x"]],
    ['open="a b', ["open=a b"]],
  ])("%j", (text, words) => {
    expect(splitWords(text)).toEqual(words);
  });

  test("what is quoted is found again", () => {
    // A NUL ends the text on its way through a boot loader.
    const word = fc.string({ unit: "grapheme" }).map((text) => text.replaceAll("\0", ""));
    fc.assert(
      fc.property(fc.array(word), (words) => {
        expect(splitWords(words.map(quoteWord).join(" "))).toEqual(words);
      }),
    );
  });
});

describe("keys", () => {
  test.each([
    ["port=9000", { port: "9000" }],
    ["--port=9000 --verbose", { port: "9000", verbose: "true" }],
    ["no-verbose server-name=x=y", { verbose: "false", serverName: "x=y" }],
    ["dhcp log=debug", { dhcp: "", log: "debug" }],
    ["help", { help: true }],
    ["-h port=1", { port: "1", help: true }],
    ["prot=9000", 'unknown key "prot" (did you mean "port"?); the word help lists them all'],
    ["port", "port needs a value: a port from 0 to 65535"],
    ["log", "log needs a value: LEVEL"],
    ["dhcp=yes", "dhcp takes no value"],
    ["port port=1", "port needs a value: a port from 0 to 65535"],
  ])("%j", (text, expected) => {
    expect(read(text)).toEqual(expected);
  });

  test("what machines and habits add is left alone", () => {
    const added =
      "console=ttyS0 reboot=k panic=1 pci=off nomodule 8250.nr_uarts=0 i8042.noaux virtio_mmio.device=4K@0xd0001000:5 " +
      "root=/dev/vda rw rootfstype=ext4 init=/bin/sh quiet swiotlb=noforce earlyprintk=ttyS0 tsc=reliable " +
      "random.trust_cpu=on kernel.trace=1 kernel.quiet BOOT_IMAGE=/vmlinuz acpi=off";
    expect(read(`${added} port=7`)).toEqual({ port: "7" });
  });

  test("a key of the image is its own, whatever machines add", () => {
    const parsed = parseCommandLine("console=ttyS0", [{ name: "console", type: { kind: "string" }, doc: "" }]);
    expect(parsed).toMatchObject({ ok: true, keys: { console: "ttyS0" } });
  });

  test("never throws, and finds no more than was there", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const parsed = parseCommandLine(text, keys, flags);
        if (parsed.ok) expect(parsed.rest).toEqual([]);
        else expect(parsed.message).not.toContain("\n\n");
      }),
    );
  });

  test("the help says how to write them", () => {
    expect(describeWords(keys, flags)).toBe(
      [
        "  port=PORT           port to serve on (a port from 0 to 65535; default 80)",
        "  server-name=STRING  who we are (required)",
        "  verbose             say more (default false)",
        "  dhcp                ask the network",
        "  log=LEVEL           what to log",
      ].join("\n"),
    );
  });
});
