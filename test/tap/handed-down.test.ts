// Devices that are open when the image starts, or are a file: with system calls, and with nothing but Node's own reads
// and writes.
import { closeSync, constants, openSync } from "node:fs";
import { openTap } from "@tesserae/tap/tun";
import { loadCalls } from "@tesserae/tap/libc";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { Namespace, unavailable } from "../namespace/namespace.ts";
import { bundle, Running, type Bundle } from "../node/process.ts";
import { greeter, greeting } from "./greeter.ts";

const reason = unavailable("curl");
const plain = { TESSERAE_NATIVE: "none" };
let image: Bundle;
const open: { close(): void }[] = [];

beforeAll(async () => {
  image = await bundle(greeter);
});
afterAll(() => image.remove());
afterEach(() => {
  for (const each of open.splice(0).reverse()) each.close();
});

function namespace(): Namespace {
  const made = Namespace.create();
  open.push({ close: () => made.destroy() });
  return made;
}

function run(within: Namespace, args: readonly string[], fds: readonly number[], environment = {}): Running {
  const command = ["ip", "netns", "exec", within.name, process.execPath, image.file, ...args];
  const running = new Running(command, fds, environment);
  open.push({ close: () => void running.child.kill("SIGKILL") });
  return running;
}

async function stopped(running: Running): Promise<void> {
  running.child.kill("SIGTERM");
  expect(await running.ended()).toBe(0);
}

/** A tap device as a helper with the privilege makes it. */
async function tapIn(within: Namespace, offload: boolean): Promise<number> {
  const calls = await loadCalls();
  const { fd } = await within.inside(() => openTap(calls, "t0", offload));
  open.push({ close: () => closeSync(fd) });
  within.ip("address add 10.2.0.1/24 dev t0");
  within.ip("link set dev t0 up");
  return fd;
}

describe.skipIf(reason !== undefined)(`a device handed down${reason === undefined ? "" : ` (${reason})`}`, () => {
  test.each([
    ["io_uring or batches", {}, true],
    ["Node's own reads and writes", plain, true],
    ["Node's own reads and writes", plain, false],
  ])("is served by %s", async (_how, environment, offload) => {
    const within = namespace();
    const fd = await tapIn(within, offload);
    const running = run(within, ["--tap-fd", "3"], [fd], environment);
    await running.says("listening on 10.2.0.2");
    for (let round = 0; round < 3; round++) {
      expect(await within.succeeds("curl", ["-sS", "-m", "20", "http://10.2.0.2/"])).toBe(greeting);
    }
    expect(running.stderr).toMatch(/^t0: /);
    expect(running.stderr.includes("by a timer")).toBe(environment === plain);
    await stopped(running);
  });

  test.each([{}, plain])("may be a macvtap, which is a file (%j)", async (environment) => {
    const within = namespace();
    const peer = namespace();
    within.ip(`link add v0 type veth peer name v1 netns ${peer.name}`);
    within.ip("link set dev v0 up");
    peer.ip("address add 10.2.0.1/24 dev v1");
    peer.ip("link set dev v1 up");
    within.ip("link add link v0 name mv0 type macvtap mode bridge");
    within.ip("link set dev mv0 up");
    const running = run(within, ["--tap", "mv0"], [], environment);
    await running.says("listening on 10.2.0.2");
    expect(await peer.succeeds("curl", ["-sS", "-m", "20", "http://10.2.0.2/"])).toBe(greeting);
    await stopped(running);
  });

  const onlyOpen = "only a descriptor that is handed down (--tap-fd) or a macvtap interface will do";
  test.each([
    [["--tap-fd", "77"], {}, "descriptor 77 is not open"],
    [["--tap-fd", "3"], {}, "descriptor 3 is no tap device"],
    [["--tap-fd", "x"], {}, '--tap-fd: "x" is not a number from 3 on'],
    [["--tap-fd", "3", "--queues", "2"], {}, "--tap-fd is one queue of a device"],
    [["--tap", "t1"], plain, onlyOpen],
    [["--xdp", "lo"], plain, onlyOpen],
  ])("%j is refused in words (%j)", async (args, environment, words) => {
    const zero = openSync("/dev/zero", constants.O_RDONLY);
    open.push({ close: () => closeSync(zero) });
    const running = run(namespace(), args, [zero], environment);
    await running.says(words);
    expect(await running.ended()).toBeGreaterThan(0);
  });
});
