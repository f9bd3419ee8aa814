// An image on several queues of one device: flows are spread, what belongs to one stack gets there, all have one address.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Namespace, unavailable } from "../namespace/namespace.ts";
import { bundle, Running, type Bundle } from "../node/process.ts";
import { stackImage } from "./stack-image.ts";

const source = stackImage({
  name: "spread",
  imports: `
import { IpAddress } from "@tesserae/device/address";
import { instance } from "@tesserae/node/instance";
`,
  ipv6: true,
  keys: `{ name: "act", type: { kind: "string" }, default: "serve", doc: "what else to do" },`,
  main: `
  const { index } = instance();
  const own = new TextEncoder().encode(String(index));
  const socket = await stack.udp.bind({ port: 7 }, ({ length, source, sourcePort }) => {
    socket.send(length > 1000 ? new TextEncoder().encode(index + " " + length) : own, 0, length > 1000 ? 6 : 1, source, sourcePort);
  });
  await stack.tcp.listen({ port: 7 }, async (flow) => {
    const into = new Uint8Array(65536);
    await flow.write(own);
    for (let got = await flow.read(into); got > 0; got = await flow.read(into)) await flow.write(into.subarray(0, got));
    await flow.close();
  });
  console.writeLine("instance " + index + " is up");
  if (keys.act === "call") {
    // A connection of each instance's own, on which the kernel says nothing for longer than it remembers flows.
    const flow = await stack.tcp.connect({ address: IpAddress.parse("10.2.0.1"), port: 9 });
    const into = new Uint8Array(100);
    const got = await flow.read(into);
    console.writeLine("instance " + index + " heard " + new TextDecoder().decode(into.subarray(0, got)));
    await flow.close();
  }
  if (keys.act === "die" && index === 1) throw new Error("deliberate");
  await new Promise((resolve) => signal.addEventListener("abort", resolve));
`,
});

const reason = unavailable("socat", "ping", "python3", "ethtool");
let image: Bundle;
let namespace: Namespace;
const started: Running[] = [];

beforeAll(async () => {
  image = await bundle(source);
});
afterAll(() => image.remove());
beforeEach(() => {
  if (reason === undefined) namespace = Namespace.create({ ipv6: true });
});
afterEach(() => {
  for (const each of started.splice(0)) each.child.kill("SIGKILL");
  if (reason === undefined) namespace.destroy();
});

const queues = 3;
const all = [...Array(queues).keys()];

async function run(...args: string[]): Promise<Running> {
  const running = new Running(["ip", "netns", "exec", namespace.name, process.execPath, image.file, ...args]);
  started.push(running);
  return running;
}

/** Asks by UDP and by TCP, each time from another port, and prints who answered; then 300 KB go back and forth. */
const asking = `
import socket, sys
def heard(kind, family, host, rounds):
    who = []
    for _ in range(rounds):
        s = socket.socket(family, kind)
        s.settimeout(10)
        s.connect((host, 7))
        if kind == socket.SOCK_DGRAM: s.send(b"?")
        who.append(s.recv(1).decode())
        s.close()
    print("".join(sorted(set(who))))
for family, host in ((socket.AF_INET, "10.2.0.2"), (socket.AF_INET6, "fd00::2")):
    heard(socket.SOCK_DGRAM, family, host, 60)
    heard(socket.SOCK_STREAM, family, host, 60)
s = socket.create_connection(("10.2.0.2", 7), 10)
s.recv(1)
s.sendall(b"x" * 300000)
s.shutdown(socket.SHUT_WR)
count = 0
while True:
    got = s.recv(65536)
    if not got: break
    count += len(got)
print(count)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(10)
s.sendto(b"y" * 4000, ("10.2.0.2", 7))
print(s.recv(100).decode())
`;

describe.skipIf(reason !== undefined)(`--queues on a device${reason === undefined ? "" : ` (${reason})`}`, () => {
  async function ask(within: Namespace): Promise<string[]> {
    return (await within.succeeds("python3", ["-c", asking])).trim().split("\n");
  }

  test("flows of both families are spread, each stays with one stack, and the counters are summed", async () => {
    const running = await run("--queues", String(queues));
    for (const index of all) await running.says(`instance ${index} is up`);
    namespace.ip("address add fd00::1/64 dev tap0 nodad");
    // Fragments are put together on queue 0.
    expect(await ask(namespace)).toEqual(["012", "012", "012", "012", "300000", "0 4000"]);
    expect(await namespace.succeeds("ping", ["-c", "3", "-i", "0.1", "-W", "5", "10.2.0.2"])).toContain("3 received");
    running.child.kill("SIGTERM");
    expect(await running.ended()).toBe(0);
    const sums = /frames received: (\d+) \((\d+) \+ (\d+) \+ (\d+)\)/.exec(running.stderr)?.slice(1).map(Number) ?? [];
    const [sum = 0, ...each] = sums;
    expect(each.reduce((total, count) => total + count, 0)).toBe(sum);
    expect(Math.min(...each)).toBeGreaterThan(100);
    expect(running.stderr).toMatch(/^tap0: 3 queues, /);
    expect(namespace.attempt("ip", ["link", "show", "dev", "tap0"]).status).not.toBe(0);
  });

  test("what a peer says after a long silence gets to the instance that connected", async () => {
    const kernel = ["-c", "exec socat TCP-LISTEN:9,fork,reuseaddr SYSTEM:'sleep 4; echo there'"];
    // The listener must be there before the instances call.
    namespace.ip("tuntap add dev tap0 mode tap multi_queue");
    namespace.ip("address add 10.2.0.1/24 dev tap0");
    namespace.start("sh", kernel);
    while (!(await namespace.ran("ss", ["-ltn"])).stdout.includes(":9 ")) {
      await new Promise((resolve) => void setTimeout(resolve, 20));
    }
    const running = await run("--queues", String(queues), "--act", "call");
    for (const index of all) await running.says(`instance ${index} heard there`);
    running.child.kill("SIGTERM");
    expect(await running.ended()).toBe(0);
    // Without it they would have heard nothing: by chance alone one queue in three is the right one.
    expect(Number(/handed to other queues: (\d+)/.exec(running.stderr)?.[1])).toBeGreaterThan(0);
  });

  test("an interface with several queues is taken over, a socket for each", async () => {
    const kernel = Namespace.create({ ipv6: true });
    try {
      namespace.ip(
        `link add name eth7 numrxqueues 3 numtxqueues 3 type veth peer name eth7 netns ${kernel.name} numrxqueues 3 numtxqueues 3`,
      );
      kernel.ip("address add 10.2.0.1/24 dev eth7");
      kernel.ip("address add fd00::1/64 dev eth7 nodad");
      kernel.ip("link set dev eth7 up");
      const refused = await run("--xdp", "eth7", "--queues", "2");
      expect(await refused.ended()).toBe(1);
      expect(refused.stderr).toContain('"eth7" has 3 receive queues: --queues 3, or ethtool -L eth7 combined 2');
      const running = await run("--xdp", "eth7", "--queues", String(queues));
      for (const index of all) await running.says(`instance ${index} is up`);
      expect(await ask(kernel)).toEqual(["012", "012", "012", "012", "300000", "0 4000"]);
      running.child.kill("SIGTERM");
      expect(await running.ended()).toBe(0);
    } finally {
      kernel.destroy();
    }
  });

  test("an instance that dies ends the image; what cannot be on several queues is refused in words", async () => {
    const dying = await run("--queues=2", "--act", "die");
    expect(await dying.ended()).toBe(1);
    expect(dying.stderr).toContain("spread: Error: deliberate");
    expect(dying.stderr).toContain("spread: instance 1 of 2 ended with status 1");
    const leasing = await run("--queues=2", "--dhcp");
    expect(await leasing.ended()).toBe(1);
    expect(leasing.stderr).toContain("which is to be given: --ipv4 ADDRESS/LENGTH");
    namespace.ip("tuntap add dev tap5 mode tap");
    const single = await run("--queues=2", "--tap", "tap5");
    expect(await single.ended()).toBe(1);
    expect(single.stderr).toContain('made with "multi_queue" at the end of ip tuntap add');
  });
});
