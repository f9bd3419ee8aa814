import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { copyApp, prepareTool, root, scratchFolder, type Tool } from "./fixtures/tool.ts";

let tool: Tool;
const scratch = scratchFolder();
const slow = 120_000;

beforeAll(async () => {
  tool = await prepareTool();
}, slow);

afterAll(() => {
  tool.remove();
  scratch.remove();
});

function freshApp(name: string): string {
  const folder = path.join(scratch.folder, name);
  copyApp("sampler", folder);
  return folder;
}

describe("a command line that makes no sense ends with status 2 and a clear line", () => {
  test.each([
    [["biuld"]],
    [["build", "my-app", "extra"]],
    [["build", "--target", "tpa"]],
    [["build", "--target"]],
    [["describe", "--dot=1"]],
    [["clean", "a", "b"]],
    [["create"]],
    [["create", "Not A Name"]],
    [["completion", "bsh"]],
    [["help", "bulid"]],
  ])("tesserae %j", async ([...argv]) => {
    const { status, stdout, stderr } = await tool.run(argv, { cwd: scratch.folder });
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr).toMatchSnapshot();
  });

  test("no command at all shows the help", async () => {
    const { status, stdout } = await tool.run([]);
    expect(status).toBe(2);
    expect(stdout).toMatchSnapshot();
  });
});

describe("mistakes about folders", () => {
  test("a missing folder, one without a configuration, a file, an existing target of create", async () => {
    mkdirSync(path.join(scratch.folder, "empty"));
    mkdirSync(path.join(scratch.folder, "taken"));
    writeFileSync(path.join(scratch.folder, "taken", "precious"), "mine");
    const said: string[] = [];
    for (const argv of [
      ["build", "emty"],
      ["build", "empty"],
      ["run", "taken/precious"],
      ["create", "taken"],
      ["create", "taken/precious/place"],
    ]) {
      const { status, stdout, stderr } = await tool.run(argv, { cwd: scratch.folder });
      expect([status, stdout]).toEqual([1, ""]);
      said.push(stderr);
    }
    expect(said.join("")).toMatchSnapshot();
    expect(readdirSync(path.join(scratch.folder, "taken"))).toEqual(["precious"]);
    expect(readdirSync(path.join(scratch.folder, "empty"))).toEqual([]);
  });
});

describe("build", () => {
  test(
    "the same inputs give the same bytes, wherever they lie, and the manifest says what went in",
    async () => {
      const one = freshApp("one");
      const other = path.join(scratch.folder, "deeper", "down", "other");
      copyApp("sampler", other);
      const built: string[][] = [];
      for (const folder of [one, other]) {
        const { status, stdout, stderr } = await tool.run(["build", folder, "--json", "--no-check"]);
        expect([status, stderr]).toEqual([0, ""]);
        // as: the tool's own report
        const report = JSON.parse(stdout) as { image: string; map: string; manifest: string; bytes: number };
        built.push([report.image, report.map, report.manifest].map((file) => readFileSync(file, "utf8")));
        expect(readdirSync(path.dirname(report.image)).sort()).toEqual([
          "manifest.json",
          "sampler.mjs",
          "sampler.mjs.map",
        ]);
      }
      expect(built[0]).toEqual(built[1]);
      const [code, map, manifest] = built[0]!;
      for (const text of [code, map, manifest]) {
        expect(text).not.toContain(scratch.folder);
        expect(text).not.toContain(root);
      }
      // as: what manifestText wrote
      const { inputs, devices, constants, image } = JSON.parse(manifest!) as {
        inputs: Record<string, string>;
        devices: { id: string; implementation: string }[];
        constants: unknown;
        image: { bytes: number };
      };
      expect(Object.keys(inputs)).toEqual(expect.arrayContaining(["main.ts", "site/index.html", "tesserae.config.ts"]));
      expect(Object.keys(inputs).some((each) => each.includes(".hidden"))).toBe(false);
      expect(devices.map((each) => `${each.id}: ${each.implementation}`)).toEqual([
        "console: target",
        "site: compiled",
        "timers: target",
        "counter: local",
      ]);
      expect(constants).toEqual({ verbose: "false", limit: "5", home: "10.0.0.1" });
      expect(image.bytes).toBe(Buffer.byteLength(code!));
    },
    slow,
  );

  test(
    "build-time keys are folded, and what they rule out is not in the image",
    async () => {
      const folder = freshApp("folded");
      const image = path.join(folder, ".tesserae/node/sampler.mjs");
      const quiet = await tool.run(["build", folder, "--no-check"]);
      expect(quiet.status).toBe(0);
      expect(quiet.stdout).toContain("@tesserae/image");
      expect(readFileSync(image, "utf8")).not.toContain("so much to say");
      const verbose = await tool.run(["build", folder, "--no-check", "--verbose", "--limit=7"]);
      expect(verbose.status).toBe(0);
      expect(readFileSync(image, "utf8")).toContain("so much to say");
      const wrong = await tool.run(["build", folder, "--limit", "70"]);
      const later = await tool.run(["build", folder, "--greeting", "x"]);
      const typing = await tool.run(["build", folder, "--limt", "7"]);
      expect([wrong.status, later.status, typing.status]).toEqual([2, 2, 2]);
      expect(`${wrong.stderr}${later.stderr}${typing.stderr}`).toMatchSnapshot();
    },
    slow,
  );

  test(
    "a release is small, its constants are constant, and its errors lead to the sources",
    async () => {
      const folder = freshApp("small");
      const image = path.join(folder, ".tesserae/node/sampler.mjs");
      await tool.run(["build", folder, "--no-check"]);
      const readable = readFileSync(image, "utf8");
      const { status, stdout } = await tool.run(["build", folder, "--no-check", "--release", "--json"]);
      expect(status).toBe(0);
      const small = readFileSync(image, "utf8");
      expect(small.length).toBeLessThan(readable.length * 0.7);
      // What is left are variables that something assigns, and what the bundler needs itself.
      const count = (pattern: RegExp): number => small.match(pattern)?.length ?? 0;
      expect(count(/\bconst /g)).toBeGreaterThan(10 * (1 + count(/\bvar /g)));
      // as: the tool's own report
      const { costs } = JSON.parse(stdout) as { costs: { library: string; bytes: number }[] };
      const sum = costs.reduce((total, each) => total + each.bytes, 0);
      expect(Math.abs(sum - small.length)).toBeLessThan(small.length * 0.05);
      const failed = await tool.run(["run", folder, "--no-check", "--release", "--fail"]);
      expect(failed.stdout).toContain("hello: 4 of 5");
      expect(failed.stderr).toContain("as you wish");
      expect(failed.stderr).toMatch(/main\.ts:12:\d+/);
      expect(failed.stderr).toMatch(/@tesserae\/image\/run\.ts:\d+/);
      const again = await tool.run(["build", folder, "--no-check", "--release"]);
      expect([again.status, readFileSync(image, "utf8")]).toEqual([0, small]);
    },
    slow,
  );

  test(
    "a build that fails leaves the image before it as it was",
    async () => {
      const folder = freshApp("kept");
      const target = path.join(folder, ".tesserae/node");
      await tool.run(["build", folder, "--no-check"]);
      const before = readdirSync(target).map((name) => readFileSync(path.join(target, name), "utf8"));
      writeFileSync(path.join(folder, "main.ts"), "export function main( {");
      const { status, stderr } = await tool.run(["build", folder, "--no-check"]);
      expect(status).toBe(1);
      expect(stderr).toMatch(/main\.ts:1:\d+: error: /);
      expect(readdirSync(target).map((name) => readFileSync(path.join(target, name), "utf8"))).toEqual(before);
      const { status: cleaned } = await tool.run(["clean", folder]);
      expect([cleaned, existsSync(path.join(folder, ".tesserae"))]).toEqual([0, false]);
    },
    slow,
  );
});

describe("run", () => {
  test(
    "gives run-time keys to the image and passes its exit status on",
    async () => {
      const folder = freshApp("running");
      const good = await tool.run(["run", folder, "--no-check", "--greeting", "hi", "--step=4"]);
      expect(good).toEqual({
        status: 0,
        stdout: "hi: 7 of 5, home is 10.0.0.1\nimg/dot.png: 10 bytes\nindex.html: 38 bytes\n",
        stderr: "",
      });
      const served = await tool.run(["run", folder, "--no-check", "--files", "directory"]);
      expect(served.stdout).toContain("index.html: 38 bytes\n");
      const bad = await tool.run(["run", "--no-check", "--fail"], { cwd: folder });
      expect(bad.status).toBe(1);
      expect(bad.stderr).toContain("as you wish");
      expect(bad.stderr).toMatch(/main\.ts:12:\d+/);
      const near = await tool.run(["run", folder, "--targt", "tap"]);
      expect([near.status, near.stderr]).toEqual([
        2,
        'tesserae: error: unknown flag "--targt" (did you mean "--target"?)\n',
      ]);
      const unknown = await tool.run(["run", folder, "--no-check", "--gretting", "hi"]);
      expect([unknown.status, unknown.stdout]).toEqual([2, ""]);
      expect(unknown.stderr).toContain('did you mean "--greeting"?');
    },
    slow,
  );
});

describe("describe", () => {
  test("shows the tree, the keys, a graph for Graphviz, and JSON", async () => {
    const folder = freshApp("described");
    const tree = await tool.run(["describe", folder]);
    const dot = await tool.run(["describe", folder, "--dot", "--target", "tap"]);
    const json = await tool.run(["describe", folder, "--json", "--files", "directory"]);
    expect([tree.status, dot.status, json.status]).toEqual([0, 0, 0]);
    expect(tree.stdout).toMatchSnapshot();
    expect(dot.stdout).toMatchSnapshot();
    expect(JSON.parse(json.stdout)).toMatchObject({ name: "sampler", bindings: { site: "site" } });
    const both = await tool.run(["describe", folder, "--dot", "--json"]);
    expect(both.status).toBe(2);
  });
});

describe("create", () => {
  test(
    "makes a project that builds and passes its own type check, and never overwrites",
    async () => {
      const made = await tool.run(["create", "my-site"], { cwd: scratch.folder });
      expect([made.status, made.stderr]).toEqual([0, ""]);
      const folder = path.join(scratch.folder, "my-site");
      expect(readdirSync(folder).sort()).toEqual([
        ".gitignore",
        "README.md",
        "main.ts",
        "package.json",
        "sim.ts",
        "site",
        "tesserae.config.ts",
        "tsconfig.json",
      ]);
      const built = await tool.run(["build"], { cwd: folder });
      expect(built.stderr).toBe("");
      expect(built.status).toBe(0);
      // The flags are those of someone who tries things out: the scenario holds all the same.
      const flags = ["--no-check", "--loss", "5%", "--port", "9000", "--greeting", "Hi"];
      const simulated = await tool.run(["run", "--target", "sim", ...flags], { cwd: folder });
      expect(simulated.status, simulated.stderr).toBe(0);
      expect(simulated.stdout.match(/^.*as expected$/gm)).toHaveLength(6);
      const page = path.join(folder, "site/index.html");
      writeFileSync(page, readFileSync(page, "utf8").replaceAll("h1>", "h2>"));
      const wrong = await tool.run(["run", "--target", "sim", "--no-check"], { cwd: folder });
      expect(wrong.status).toBe(1);
      expect(wrong.stderr).toContain('/ is without "<h1>"');
      const again = await tool.run(["create", "my-site"], { cwd: scratch.folder });
      expect(again.status).toBe(1);
      const deep = await tool.run(["create", "new/folders/site"], { cwd: scratch.folder });
      expect([deep.status, deep.stderr]).toEqual([0, ""]);
      expect(readdirSync(path.join(scratch.folder, "new/folders"))).toEqual(["site"]);
    },
    slow,
  );
});

describe("completion", () => {
  test.each(["bash", "zsh", "fish"])("the script for %s knows the commands, flags and targets", async (shell) => {
    const { status, stdout } = await tool.run(["completion", shell]);
    expect(status).toBe(0);
    for (const word of ["describe", "release", "node tap sim", "completion"]) expect(stdout).toContain(word);
  });
});
