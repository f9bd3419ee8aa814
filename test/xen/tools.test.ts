import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LaunchedImage, pause } from "../system/launched-image.ts";
import { withoutPrograms } from "../programs.ts";

// Xen's own tools, which know nothing of ours, look into the store of examples/xenstored and change it.

const testXenstore = "/usr/lib/xen-4.17/bin/test-xenstore";
// Debian's wrapper of the same name asks the hypervisor for its version.
const xenstoreControl = "/usr/lib/xen-4.17/bin/xenstore-control";
const reason = withoutPrograms("xenstore-ls", testXenstore);

/** All that a program writes, once it has ended. */
function outputOf(env: NodeJS.ProcessEnv, command: string, ...args: readonly string[]): Promise<string> {
  const child = spawn(command, args, { env, stdio: ["ignore", "pipe", "pipe"], timeout: 60_000 });
  let text = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (part: string) => (text += part));
  return new Promise((resolve) => child.once("close", () => resolve(text)));
}

describe.skipIf(reason !== undefined)(`Xen's tools${reason === undefined ? "" : ` (${reason})`}`, () => {
  const folder = mkdtempSync(path.join(tmpdir(), "tesserae-xenstored-"));
  const socket = path.join(folder, "socket");
  const environment = { ...process.env, XENSTORED_PATH: socket };
  const journal = path.join(folder, "journal");
  let image: LaunchedImage;
  const start = async (): Promise<void> => {
    image = await LaunchedImage.start(["examples/xenstored", "--socket", socket, "--journal", journal], "serving");
  };
  beforeAll(start, 120_000);
  afterAll(async () => {
    expect(await image.stop(), image.output).toBe(0);
    rmSync(folder, { recursive: true });
  });

  const tool = (command: string, ...args: readonly string[]) => {
    const { status, stdout, stderr } = spawnSync(command, args, {
      env: environment,
      encoding: "utf8",
      timeout: 60_000,
    });
    return { status, text: stdout + stderr };
  };

  test("xenstore-write, -read, -list, -exists, -ls and -rm", () => {
    expect(tool("xenstore-write", "/tool/a", "hello", "/tool/b", "world")).toEqual({ status: 0, text: "" });
    expect(tool("xenstore-read", "/tool/a", "/tool/b").text).toBe("hello\nworld\n");
    expect(tool("xenstore-list", "/tool").text).toBe("a\nb\n");
    expect(tool("xenstore-exists", "/tool/a").status).toBe(0);
    expect(tool("xenstore-exists", "/tool/c").status).toBe(1);
    expect(tool("xenstore-ls", "-fp", "/tool").text).toBe('/tool/a = "hello"   (n0)\n/tool/b = "world"   (n0)\n');
    expect(tool("xenstore-rm", "/tool")).toEqual({ status: 0, text: "" });
    expect(tool("xenstore-read", "/tool/a")).toEqual({
      status: 1,
      text: "xenstore-read: couldn't read path /tool/a\n",
    });
  });

  test("xenstore-chmod", () => {
    tool("xenstore-write", "/mode/x", "1");
    expect(tool("xenstore-chmod", "-r", "/mode", "n0", "r3", "b4")).toEqual({ status: 0, text: "" });
    expect(tool("xenstore-ls", "-fp", "/mode").text).toBe('/mode/x = "1"   (n0,r3,b4)\n');
  });

  test("xenstore-watch hears what xenstore-write did", async () => {
    const watching = outputOf(environment, "xenstore-watch", "-n", "3", "/watched");
    await pause(300);
    tool("xenstore-write", "/watched/a", "1");
    await pause(100);
    tool("xenstore-rm", "/watched");
    expect(await watching).toBe("/watched\n/watched/a\n/watched\n");
  });

  test("a directory whose names are more than a message holds", () => {
    const names = Array.from({ length: 500 }, (_, index) => `a-rather-long-name-${String(index).padStart(4, "0")}`);
    tool("xenstore-write", ...names.flatMap((name) => [`/big/${name}`, ""]));
    expect(tool("xenstore-list", "/big").text).toBe(`${names.join("\n")}\n`);
  });

  test("xenstore-control: help, check, quota, print", () => {
    expect(tool(xenstoreControl, "help").text).toContain("quota\t[set <name> <val>|<domid>]\n");
    expect(tool(xenstoreControl, "check")).toEqual({ status: 0, text: "OK\n" });
    expect(tool(xenstoreControl, "print", "hello from outside").status).toBe(0);
    expect(tool(xenstoreControl, "quota", "set", "nodes", "1234")).toEqual({ status: 0, text: "OK\n" });
    expect(tool(xenstoreControl, "quota").text).toMatch(/^nodes +: +1234$/m);
    expect(tool(xenstoreControl, "nothing").text).toContain("Command not supported");
  });

  test("xenstore-control live-update: newer code takes over, and xenstore-watch goes on", async () => {
    const file = path.join(folder, "newer.mjs");
    await build({
      ...{ entryPoints: [path.resolve("lib/xenstore/server.ts")], outfile: file, bundle: true, format: "esm" },
      ...{ conditions: ["tesserae-source"], logLevel: "warning" },
    });
    const watching = outputOf(environment, "xenstore-watch", "-n", "3", "/updated");
    await pause(500);
    tool("xenstore-write", "/updated/a", "1");
    expect(tool(xenstoreControl, "live-update", file)).toEqual({ status: 0, text: "" });
    expect(tool("xenstore-read", "/updated/a").text).toBe("1\n");
    tool("xenstore-write", "/updated/b", "2");
    expect(await watching).toBe("/updated\n/updated/a\n/updated/b\n");
    const missing = tool(xenstoreControl, "live-update", "/nothing.mjs");
    expect(missing.status).toBe(3);
    expect(missing.text).toContain("Cannot find module");
    expect(tool("xenstore-read", "/updated/b").text).toBe("2\n");
  });

  test("kill -9 in the middle of writes: all that was answered is there when it comes back", async () => {
    tool("xenstore-write", "/kept/a", "1");
    tool("xenstore-chmod", "/kept/a", "n0", "r3");
    tool(xenstoreControl, "quota", "set", "watches", "77");
    const answered = outputOf(
      environment,
      "sh",
      "-c",
      "n=0; while xenstore-write /kept/n $n; do echo $n; n=$((n + 1)); done",
    );
    await pause(1000);
    process.kill(image.imagePid, "SIGKILL");
    const last = Number(/(\d+)\n[^\d\n]*$/.exec((await answered).replaceAll(/^\D.*\n/gm, ""))?.[1] ?? -1);
    await image.stop();
    await start();
    expect(tool("xenstore-ls", "-fp", "/kept").text).toMatch(/^\/kept\/a = "1" {3}\(n0,r3\)$/m);
    expect([last, last + 1]).toContain(Number(tool("xenstore-read", "/kept/n").text));
    expect(last).toBeGreaterThan(0);
    expect(tool(xenstoreControl, "quota").text).toMatch(/^watches +: +77$/m);
    expect(tool(xenstoreControl, "check").text).toBe("OK\n");
  }, 120_000);

  test("xenstore-control kill: its server dies in the middle of a request, and no client hears of it", async () => {
    const watching = outputOf(environment, "xenstore-watch", "-n", "2", "/killed");
    await pause(500);
    expect(tool(xenstoreControl, "kill", "1").text).toBe("OK\n");
    expect(tool("xenstore-write", "/killed/a", "1")).toEqual({ status: 0, text: "" });
    expect(await watching).toBe("/killed\n/killed/a\n");
    expect(tool(xenstoreControl, "memreport").text).toMatch(/faults 1$/m);
    expect(image.output).toContain("a server died");
  });

  test("test-xenstore, and ten of its kind at once", async () => {
    const runs = Array.from({ length: 10 }, () => outputOf(environment, testXenstore, "-i", "20"));
    for (const output of await Promise.all(runs)) {
      expect(output).not.toContain("failed");
      expect(output.match(/: avg: /g)).toHaveLength(12);
    }
  }, 120_000);

  test("test-xenstore's random operations", () => {
    const { status, text } = tool(testXenstore, "-r", "3");
    expect({ status, text }).toEqual({ status: 0, text: "" });
  });
});
