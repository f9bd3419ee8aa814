// Our IPv6 router between two kernels: one makes its addresses of what we advertise, the other is reached through us.
import { IpAddress, Prefix } from "@tesserae/device/address";
import { createRandom } from "@tesserae/node/random";
import { createTimers } from "@tesserae/node/timers";
import { createTap } from "@tesserae/tap/netif";
import { createRouter, type RouterStack } from "@tesserae/tcpip/stack/router";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { Namespace, unavailable } from "../namespace/namespace.ts";

const reason = unavailable("ping", "curl", "python3", "rdisc6");
const open: { close(): unknown }[] = [];
let outside: Namespace;
let inside: Namespace;
let leave: () => void;
let router: RouterStack;

beforeAll(async () => {
  if (reason !== undefined) return;
  outside = Namespace.create({ ipv6: true });
  inside = Namespace.create({ ipv6: true });
  leave = await outside.enter();
  const timers = createTimers();
  open.push(timers);
  const wan = await createTap({ name: "wan6", hostAddress: Prefix.parse("198.51.100.1/24") });
  const lan = await createTap({ name: "lan6", hostAddress: Prefix.parse("10.1.0.9/24") });
  outside.ip("-6 address add 2001:db8::2/64 dev wan6 nodad");
  outside.ip("-6 route add 2001:db8:1::/64 via 2001:db8::1");
  outside.ip("link set wan6 mtu 1500");
  // The device stays open; its other end goes to the kernel inside.
  outside.ip(`link set lan6 netns ${inside.name}`);
  inside.ip("link set lan6 up");
  router = await createRouter({
    timers,
    random: createRandom(),
    onError: () => undefined,
    interfaces: [
      {
        netif: wan,
        ipv4: { kind: "static", address: Prefix.parse("198.51.100.2/24") },
        ipv6: { kind: "static", address: Prefix.parse("2001:db8::1/64") },
      },
      {
        netif: lan,
        ipv4: { kind: "static", address: Prefix.parse("10.1.0.1/24") },
        ipv6: { kind: "static", address: Prefix.parse("2001:db8:1::1/64") },
        advertise: { nameServers: [IpAddress.parse("2001:db8:1::53")], mtu: 1400, mostInterval: 10_000 },
      },
    ],
  });
  open.push(router);
});
afterAll(async () => {
  if (reason !== undefined) return;
  for (const each of open.splice(0).reverse()) await each.close();
  leave();
  inside.destroy();
  outside.destroy();
});
const started: { kill(): unknown }[] = [];
afterEach(() => {
  for (const each of started.splice(0)) each.kill();
});

/** The address that the kernel inside has made, once it has found that nobody else has it. */
async function madeAddress(): Promise<string> {
  for (const end = Date.now() + 20_000; Date.now() < end;) {
    const [, made] =
      /inet6 (2001:db8:1:[0-9a-f:]+)\/64 scope global(?!.*tentative).*dynamic/.exec(
        inside.ip("-6 address show dev lan6"),
      ) ?? [];
    if (made !== undefined) return made;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`no address was made: ${inside.ip("-6 address show dev lan6")}`);
}

describe.skipIf(reason !== undefined)(`our IPv6 router${reason === undefined ? "" : ` (${reason})`}`, () => {
  test("RFC 4861 §6.2: the kernel makes an address, a default route and an MTU of what we advertise", async () => {
    await madeAddress();
    const linkLocal = router.ipv6?.interface(2).addresses.at(-1)?.address.toString();
    const routes = inside.ip("-6 route show default");
    expect(routes).toContain(`default via ${linkLocal} dev lan6 proto ra`);
    expect(routes).toContain("mtu 1400");
  });

  test("rdisc6 reads what we say, and is answered when it asks", async () => {
    await madeAddress();
    const said = await inside.succeeds("rdisc6", ["-1", "-w", "5000", "lan6"]);
    expect(said).toMatch(/Hop limit +: +64/);
    expect(said).toMatch(/Prefix +: 2001:db8:1::\/64/);
    expect(said).toMatch(/MTU +: +1400/);
    expect(said).toMatch(/Recursive DNS server +: 2001:db8:1::53/);
    expect(said).toMatch(/Router preference +: +medium/);
  });

  test.each([56, 1352, 1353, 20_000])("pings of %i bytes pass through us", async (size) => {
    await madeAddress();
    const said = await inside.ran("ping", ["-6", "-c", "3", "-i", "0.2", "-W", "5", "-s", `${size}`, "2001:db8::2"]);
    expect(said.stdout).toContain("3 received");
    expect(said.stdout).toContain("ttl=63");
  });

  test("RFC 4443 §3: who sends what goes no further is told, and by whom", async () => {
    await madeAddress();
    const ping = async (...more: string[]) => (await inside.ran("ping", ["-6", "-c", "1", "-W", "8", ...more])).stdout;
    expect(await ping("-t", "1", "2001:db8::2")).toMatch(/From 2001:db8:1::1 icmp_seq=1 Time exceeded: Hop limit/);
    expect(await ping("2001:db8:ffff::1")).toMatch(/From 2001:db8:1::1 icmp_seq=1 Destination unreachable: No route/);
    expect(await ping("2001:db8::77")).toMatch(
      /From 2001:db8:1::1 icmp_seq=1 Destination unreachable: Address unreachable/,
    );
  });

  test("RFC 8201: the kernel outside learns that the way in is narrow, and megabytes pass", async () => {
    const address = await madeAddress();
    router.ipv6?.interface(2).adjust(1280, 0);
    const server = `
import socket, sys
server = socket.create_server((sys.argv[1], 8000), family=socket.AF_INET6)
print("ready", flush=True)
flow, peer = server.accept()
# as large as the link takes, whatever the path's narrowest hop is
count = 0
while True:
    got = flow.recv(65536)
    if not got: break
    count += len(got)
flow.sendall(str(count).encode()); flow.close()
`;
    const client = `
import socket, sys
flow = socket.create_connection((sys.argv[1], 8000), 20)
flow.sendall(bytes(5_000_000)); flow.shutdown(socket.SHUT_WR)
print(flow.makefile().read())
`;
    const running = inside.start("python3", ["-c", server, address]);
    started.push(running);
    await new Promise((resolve) => running.stdout?.once("data", resolve));
    expect((await outside.succeeds("python3", ["-c", client, address])).trim()).toBe("5000000");
    // Up to 45 segments are one packet to the router.
    expect(router.forwarding6?.statistics.forwarded).toBeGreaterThan(60);
    expect(router.forwarding6?.statistics.tooBig).toBeGreaterThan(0);
  }, 60_000);

  test("§6.2.5: when we stop, the kernel forgets its route at once", async () => {
    await madeAddress();
    router.forwarding6?.close();
    for (const end = Date.now() + 5000; Date.now() < end;) {
      if (inside.ip("-6 route show default").trim() === "") return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(inside.ip("-6 route show default").trim()).toBe("");
  });
});
