import { describe, expect, test } from "vitest";
import { catalogue } from "./catalogue.ts";
import { defineConfig, device, implementation, key, type Config } from "./config.ts";
import { formatDiagnostic } from "./diagnostic.ts";
import { createGraph, type GraphResult } from "./graph.ts";
import { framesOf } from "./location.ts";
import { targets } from "./target.ts";

function graph(
  config: Config,
  target = "tap",
  more: { constants?: Record<string, string>; choices?: Record<string, string> } = {},
): GraphResult {
  return createGraph({
    config,
    target: targets.find((each) => each.name === target)!,
    catalogue,
    versionOf: () => "0.1.0",
    locate: () => ({ file: "tesserae.config.ts", line: 1, column: 2 }),
    ...more,
  });
}

function good(result: GraphResult) {
  if (!result.ok) throw new Error(result.diagnostics.map(formatDiagnostic).join("\n"));
  return result.graph;
}

function said(result: GraphResult): readonly string[] {
  return result.ok ? [] : result.diagnostics.map((each) => each.message);
}

const www = defineConfig({
  name: "www",
  main: "./main.ts",
  keys: { port: key.port({ default: 80, doc: "port" }), debug: key.boolean({ stage: "build", doc: "say more" }) },
  devices: { stack: device.stack({ ipv4: "dhcp" }), site: device.files("./site"), log: device.log({ level: "warn" }) },
});

describe("createGraph", () => {
  test("joins devices, their keys and the application's", () => {
    const made = good(graph(www));
    expect(made.devices.map((each) => `${each.id}:${each.implementation.name}`)).toEqual([
      "netif:target",
      "timers:target",
      "random:target",
      "console:target",
      "log:console",
      "stack:tcpip",
      "site:compiled",
    ]);
    expect(made.keys.map((each) => [each.name, each.default, each.of])).toEqual([
      ["port", "80", "main"],
      ["logLevel", "warn", "log"],
      ["ipv4", "dhcp", "stack"],
      ["ipv6", "auto", "stack"],
    ]);
    expect(made.bindings).toEqual({ stack: "stack", site: "site", log: "log" });
    expect(made.constants).toEqual({ debug: false });
    expect(made.devices.at(-1)?.options).toEqual({ files: { files: "./site" } });
  });

  test("files can be served from the folder, whose path is then a key", () => {
    const made = good(graph(www, "node", { choices: { files: "directory" }, constants: { debug: "true" } }));
    expect(made.devices.map((each) => each.id)).toEqual(["stack", "site", "console", "timers", "log"]);
    expect(made.keys.find((each) => each.of === "site")).toMatchObject({ name: "siteFolder", path: "./site" });
    expect(made.constants).toEqual({ debug: true });
  });

  test("a device's key gives way to one that has its name", () => {
    const config = defineConfig({
      name: "two",
      main: "./main.ts",
      keys: { ipv4: key.string({ default: "", doc: "mine" }) },
      devices: { stack: device.stack() },
    });
    expect(good(graph(config)).keys.map((each) => each.name)).toEqual(["ipv4", "logLevel", "stackIpv4", "ipv6"]);
  });

  test("a target supplies as many interfaces as are declared; one can come from a factory of its own", () => {
    const config = defineConfig({
      name: "router",
      main: "./main.ts",
      devices: { inside: device.netif(), outside: device.netif(), spare: device.netif({ implementation: "tap" }) },
    });
    expect(good(graph(config)).devices.map((each) => `${each.id}:${each.implementation.name}`)).toEqual([
      "inside:target",
      "outside:target",
      "spare:tap",
    ]);
  });

  test("an implementation of one's own comes before ours, and its options are checked", () => {
    const own = implementation({
      name: "mine",
      kind: "log",
      module: "./log.ts",
      export: "createMine",
      options: { depth: { from: "declaration", option: "depth" } },
    });
    const config = defineConfig({
      name: "own",
      main: "./main.ts",
      devices: { log: device.custom<unknown>("log", { options: { depth: 3 } }) },
      implementations: [own],
    });
    expect(good(graph(config)).devices).toMatchObject([{ id: "log", options: { depth: { value: 3 } } }]);
    const without = defineConfig({ ...config, scenario: "./sim.ts", devices: { log: device.log() } });
    expect(said(graph(without))).toEqual(['device "log" (mine) needs the option "depth"']);
  });

  test("everything wrong is reported at once", () => {
    const config = defineConfig({
      name: "Not A Name",
      main: "./main.ts",
      keys: { "bad-name": key.string({ doc: "" }), must: key.string({ stage: "build", doc: "" }) },
      devices: { log: device.log({ implementation: "consol", version: "newest" }) },
    });
    expect(said(graph(config))).toEqual([
      'name "Not A Name" is not an image\'s name',
      '"bad-name" is not a key\'s name',
      '"newest" is not a range of versions',
      'kind "log" has no implementation "consol" (did you mean "console"?)',
      'the build-time key "must" has no value',
    ]);
  });

  test("the whole catalogue can be made on the targets that it names", () => {
    for (const { name, kind, targets: only } of catalogue) {
      for (const target of only ?? targets.map((each) => each.name)) {
        const options = { implementation: name, options: { folder: "./x", path: "./x", name: "tap0" } };
        const one = defineConfig({ name: "one", main: "./main.ts", devices: { it: device.custom(kind, options) } });
        const made = graph(one, target);
        const refused = said(made).filter((each) => !each.includes("has no option"));
        expect([name, kind, target, refused]).toEqual([name, kind, target, []]);
      }
    }
  });
});

describe("framesOf", () => {
  test("reads V8's stack traces, with functions, files and URLs", () => {
    const stack = [
      "Error: declared here",
      "    at stackTrace (file:///app/config.mjs:10:5)",
      "    at Object.log [as x] (/app/a b.ts:3:7)",
      "    at async Promise.all (index 0)",
      "    at file:///app/config.mjs:90:1",
      "    at <anonymous>",
    ].join("\n");
    expect(framesOf(stack)).toEqual([
      { file: "file:///app/config.mjs", line: 10, column: 5 },
      { file: "/app/a b.ts", line: 3, column: 7 },
      { file: "file:///app/config.mjs", line: 90, column: 1 },
    ]);
  });
});
