// An image on the tap target as a process, seen from the kernel's side of its network.
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Namespace, unavailable } from "../namespace/namespace.ts";
import { bundle, Running, type Bundle } from "../node/process.ts";
import { greeter, greeting as body } from "./greeter.ts";

const reason = unavailable("curl", "setpriv");
let image: Bundle;
let namespace: Namespace;
const started: Running[] = [];

beforeAll(async () => {
  image = await bundle(greeter);
});
afterAll(() => image.remove());
beforeEach(() => {
  if (reason === undefined) namespace = Namespace.create();
});
afterEach(() => {
  for (const each of started.splice(0)) each.child.kill("SIGKILL");
  if (reason === undefined) namespace.destroy();
});

function run(...args: string[]): Running {
  const running = new Running(["ip", "netns", "exec", namespace.name, process.execPath, image.file, ...args]);
  started.push(running);
  return running;
}

const curl = (...args: string[]) => namespace.succeeds("curl", ["-sS", "--fail", "-m", "20", ...args]);

async function stopped(running: Running): Promise<void> {
  running.child.kill("SIGTERM");
  expect(await running.ended()).toBe(0);
}

describe.skipIf(reason !== undefined)(`an image on a tap device${reason === undefined ? "" : ` (${reason})`}`, () => {
  test("makes the device, answers curl, and leaves nothing behind", async () => {
    const running = run();
    await running.says("listening on 10.2.0.2");
    expect(await curl("http://10.2.0.2/")).toBe(body);
    await stopped(running);
    expect(running.stderr).toMatch(/^tap0: [^\n]+\n$/);
    expect(namespace.attempt("ip", ["link", "show", "dev", "tap0"]).status).not.toBe(0);
  });

  test("takes name, MTU and addresses from flags and keys", async () => {
    const flags = ["--tap", "net7", "--mtu", "9000", "--ipv4", "192.168.9.7/28", "--port=8000"];
    const running = run(...flags, "--host-address", "192.168.9.3/28");
    await running.says("listening on 192.168.9.7");
    expect(await curl("http://192.168.9.7:8000/")).toBe(body);
    expect(namespace.ip("address show dev net7")).toMatch(/mtu 9000[^]*inet 192\.168\.9\.3\/28/);
    await stopped(running);
  });

  /** As {@link run}, but without any capability: what an ordinary user has. */
  function runUnprivileged(...args: string[]): Running {
    const command = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", process.execPath, image.file, ...args];
    const running = new Running(["ip", "netns", "exec", namespace.name, ...command]);
    started.push(running);
    return running;
  }

  test("needs no privilege on a device that was made before", async () => {
    namespace.ip("tuntap add dev tap0 mode tap user root");
    namespace.ip("address add 10.2.0.1/24 dev tap0");
    namespace.ip("link set dev tap0 up");
    const running = runUnprivileged();
    await running.says("listening on 10.2.0.2");
    expect(await curl("http://10.2.0.2/")).toBe(body);
    await stopped(running);
    expect(running.stderr).toMatch(/^tap0: [^\n]+\n$/);
    namespace.ip("link show dev tap0");
  });

  test("without a compiler it goes through koffi, and says so", async () => {
    const running = run();
    await running.says("listening on 10.2.0.2");
    await stopped(running);
    expect(running.stderr).not.toContain("koffi");
    const slower = new Running([
      ...["ip", "netns", "exec", namespace.name, "env", "CC=/nonexistent", `XDG_CACHE_HOME=${image.file}.cache`],
      ...[process.execPath, image.file],
    ]);
    started.push(slower);
    await slower.says("listening on 10.2.0.2");
    expect(await curl("http://10.2.0.2/")).toBe(body);
    await stopped(slower);
    expect(slower.stderr).toMatch(/^tap0: .*koffi, which is slower: .*no C compiler "\/nonexistent"/);
  });

  test("takes an interface over from the kernel, and without the privilege says what it needs", async () => {
    const kernel = Namespace.create();
    try {
      namespace.ip(`link add name eth7 type veth peer name eth7 netns ${kernel.name}`);
      kernel.ip("address add 10.2.0.1/24 dev eth7");
      kernel.ip("link set dev eth7 up");
      const running = run("--xdp", "eth7");
      await running.says("listening on 10.2.0.2");
      expect(await kernel.succeeds("curl", ["-sS", "-m", "20", "http://10.2.0.2/"])).toBe(body);
      await stopped(running);
      expect(running.stderr).toBe("eth7: AF_XDP, copied by the kernel\n");
      const refused = runUnprivileged("--xdp", "eth7");
      expect(await refused.ended()).toBe(1);
      expect(refused.stderr).toMatch(/operation not permitted.*\nAF_XDP needs CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF/);
    } finally {
      kernel.destroy();
    }
  });

  test("without the privilege to make a device it prints the commands that would", async () => {
    const running = runUnprivileged("--tap", "net3");
    expect(await running.ended()).toBe(1);
    expect(running.stderr).toContain('no permission for tap device "net3"');
    expect(running.stderr).toMatch(/sudo ip tuntap add dev net3 mode tap user \S+\n/);
    expect(running.stderr).toContain("sudo ip address add 10.2.0.1/24 dev net3\n");
    expect(running.stderr).not.toMatch(/\n +at /);
  });

  test("captures, traces and breaks its frames as the flags say, and still serves", async () => {
    const folder = await mkdtemp(join(tmpdir(), "tesserae-boot-"));
    try {
      const path = join(folder, "run.pcapng");
      const faults = ["--loss", "3%", "--duplicate", "0.03", "--reorder", "3%", "--delay", "2ms", "--jitter", "1"];
      const running = run("--pcap", path, "--trace", ...faults);
      await running.says("listening");
      for (let round = 0; round < 5; round++) expect(await curl("http://10.2.0.2/")).toBe(body);
      await stopped(running);
      expect(running.stderr).toMatch(/tap0 < .*10\.2\.0\.1/);
      expect((await readFile(path)).length).toBeGreaterThan(5 * body.length);
    } finally {
      await rm(folder, { recursive: true });
    }
  }, 60_000);

  test.each([
    [["--tap", "lo"], '"lo" is an interface, but no tap device'],
    [["--pcap", "/nowhere/at/all.pcapng"], "--pcap: ENOENT"],
    [["--loss", "2"], '--loss: "2" is not a share'],
    [["--mtu", "1"], '--mtu: "1" is not an integer from 576 to 65521'],
  ])("%j ends with one clear message and status 1", async (args, message) => {
    const running = run(...args);
    expect(await running.ended()).toBe(1);
    expect(running.stderr).toContain(`greeter: ${message}`);
    expect(running.stderr).not.toMatch(/\n +at /);
  });

  test("a device in use is refused in words", async () => {
    const first = run();
    await first.says("listening");
    const second = run();
    expect(await second.ended()).toBe(1);
    expect(second.stderr).toContain('tap device "tap0" is in use by another process');
  });
});
