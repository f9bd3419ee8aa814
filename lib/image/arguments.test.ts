import { describe, expect, test } from "vitest";
import { describeKeys, parseArguments } from "./arguments.ts";
import type { KeyPlan } from "./key.ts";

const keys: readonly KeyPlan[] = [
  { name: "port", type: { kind: "port" }, default: "8080", doc: "port to listen on" },
  { name: "logLevel", type: { kind: "choice", choices: ["info", "warn"] }, doc: "what to log" },
  { name: "verbose", type: { kind: "boolean" }, default: "false", doc: "say more" },
];
const flags = [
  { name: "pcap", value: "FILE", doc: "capture" },
  { name: "trace", doc: "print frames" },
];

describe("parseArguments", () => {
  test("both ways to write a value, booleans, negation, flags, the rest", () => {
    const argv = ["--port", "1", "--log-level=warn", "--no-verbose", "--pcap", "-", "--trace", "a", "--", "--port"];
    expect(parseArguments(argv, keys, flags)).toEqual({
      ok: true,
      keys: { port: "1", logLevel: "warn", verbose: "false" },
      flags: { pcap: "-", trace: "" },
      rest: ["a", "--port"],
      help: false,
    });
  });

  test("the last mention counts, a value may begin with a dash, and an empty one is a value", () => {
    expect(parseArguments(["--port=1", "--port", "-2"], keys)).toMatchObject({ keys: { port: "-2" } });
    expect(parseArguments(["--port="], keys)).toMatchObject({ keys: { port: "" } });
    expect(parseArguments(["--verbose", "--verbose=false"], keys)).toMatchObject({ keys: { verbose: "false" } });
  });

  test("--help and -h", () => {
    expect(parseArguments(["-h"], keys)).toMatchObject({ ok: true, help: true });
    expect(parseArguments(["--port", "1", "--help"], keys)).toMatchObject({ help: true, keys: { port: "1" } });
  });

  test.each([
    [["--prot", "1"], 'unknown flag "--prot" (did you mean "--port"?); --help lists them all'],
    [["-p"], 'unknown flag "-p"; --help lists them all'],
    [["--logLevel", "info"], 'unknown flag "--logLevel" (did you mean "--log-level"?); --help lists them all'],
    [["--port"], "--port needs a value: a port from 0 to 65535"],
    [["--pcap"], "--pcap needs a value: FILE"],
    [["--trace=1"], "--trace takes no value"],
    [["--no-verbose=1"], "--no-verbose takes no value"],
    [["--no-port"], 'unknown flag "--no-port" (did you mean "--port"?); --help lists them all'],
  ])("%j is refused", ([...argv], message) => {
    expect(parseArguments(argv, keys, flags)).toEqual({ ok: false, message });
  });
});

test("describeKeys lists what there is, aligned", () => {
  expect(describeKeys(keys, flags)).toBe(
    [
      "  --port PORT         port to listen on (a port from 0 to 65535; default 8080)",
      '  --log-level CHOICE  what to log ("info" or "warn"; required)',
      "  --verbose           say more (default false)",
      "  --pcap FILE         capture",
      "  --trace             print frames",
    ].join("\n"),
  );
});
