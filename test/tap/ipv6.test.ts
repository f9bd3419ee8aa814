// Our IPv6 over a tap device against the real Linux one: as a neighbour, as a router, and with radvd.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { IpAddress, Prefix } from "@tesserae/device/address";
import type { Flow } from "@tesserae/device/flow";
import { createKernelStack } from "@tesserae/node/kernel-stack";
import { createRandom } from "@tesserae/node/random";
import { createTimers } from "@tesserae/node/timers";
import { createTap } from "@tesserae/tap/netif";
import type { Ipv6Setting } from "@tesserae/tcpip/stack/ipv6-setting";
import { createStack, type IpStack } from "@tesserae/tcpip/stack/stack";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { Namespace, unavailable } from "../namespace/namespace.ts";

const reason = unavailable("ping", "curl", "radvd", "ndisc6");
const kernelAddress = IpAddress.parse("fd00:1::1");
const ownAddress = IpAddress.parse("fd00:1::2");
const ownStatic = {
  kind: "static",
  address: Prefix.parse("fd00:1::2/64"),
  gateway: kernelAddress,
} as const;

const open: { close(): unknown }[] = [];
let namespace: Namespace;
let leave: () => void;

beforeAll(async () => {
  if (reason !== undefined) return;
  namespace = Namespace.create({ ipv6: true });
  // The kernel's sockets of this process are made inside too.
  leave = await namespace.enter();
});
afterAll(() => {
  if (reason !== undefined) return;
  leave();
  namespace.destroy();
});
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

async function until(holds: () => boolean, what: string, ms = 10_000): Promise<void> {
  const end = Date.now() + ms;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A stack of ours on the device `t0`, whose other end is the kernel's, as fd00:1::1/64. */
async function stack(ipv6: Ipv6Setting, mtu?: number): Promise<IpStack> {
  const timers = createTimers();
  open.push(timers);
  const netif = await createTap({
    name: "t0",
    hostAddress: Prefix.parse("10.1.0.1/24"),
    ...(mtu === undefined ? {} : { mtu }),
  });
  namespace.ip("-6 address add fd00:1::1/64 dev t0 nodad");
  const own = await createStack({
    netif,
    timers,
    random: createRandom(),
    ipv4: { kind: "static", address: Prefix.parse("10.1.0.2/24") },
    ipv6,
    onError: () => undefined,
  });
  open.push(own);
  return own;
}

async function connected(
  from: Pick<IpStack, "tcp"> | ReturnType<typeof createKernelStack>,
  to: typeof from,
  address: IpAddress,
) {
  let accepted: (flow: Flow) => void;
  const far = new Promise<Flow>((resolve) => (accepted = resolve));
  const listener = await to.tcp.listen({ port: 0 }, (flow) => accepted(flow));
  const near = await from.tcp.connect({ address, port: listener.local.port });
  return [near, await far] as const;
}

async function transfer(from: Flow, to: Flow, total: number): Promise<void> {
  const send = async (): Promise<void> => {
    const chunk = new Uint8Array(60_000);
    for (let done = 0; done < total;) {
      const part = chunk.subarray(0, Math.min(chunk.length, total - done));
      for (let index = 0; index < part.length; index++) part[index] = (done + index) * 31;
      await from.write(part);
      done += part.length;
    }
    await from.end();
  };
  const receive = async (): Promise<number> => {
    const into = new Uint8Array(65_536);
    let count = 0;
    for (let got = await to.read(into); got > 0; got = await to.read(into)) {
      for (let index = 0; index < got; index++) {
        // as bytes: the pattern's period is 256
        if (into[index] !== (((count + index) * 31) & 255)) throw new Error(`byte ${count + index} is wrong`);
      }
      count += got;
    }
    return count;
  };
  const [count] = await Promise.all([receive(), send()]);
  expect(count).toBe(total);
}

describe.skipIf(reason !== undefined)(`IPv6 on a tap device${reason === undefined ? "" : ` (${reason})`}`, () => {
  test.each([56, 1452, 1453, 8000, 60_000])("pings of %i bytes are answered, both ways", async (size) => {
    const own = await stack(ownStatic);
    const ran = await namespace.ran("ping", ["-6", "-c", "2", "-i", "0.2", "-W", "10", "-s", `${size}`, "fd00:1::2"]);
    expect(ran.stdout).toContain("2 received");
    expect(await own.icmp6!.ping(kernelAddress, { size })).toBeLessThan(5000);
  });

  test("link-local addresses reach each other, and ndisc6 finds us", async () => {
    const own = await stack(ownStatic);
    const linkLocal = own.ipv6!.addresses.at(-1)!.toString();
    expect(linkLocal).toMatch(/^fe80:/);
    const ran = await namespace.ran("ping", ["-6", "-c", "1", "-W", "10", `${linkLocal}%t0`]);
    expect(ran.stdout).toContain("1 received");
    const found = await namespace.succeeds("ndisc6", ["-1", "-q", "fd00:1::2", "t0"]);
    expect(found.trim().toLowerCase()).toBe(own.netif.mac.toString());
  });

  test.each([1280, 1500, 9000])(
    "megabytes both ways at MTU %i",
    async (mtu) => {
      const own = await stack(ownStatic, mtu);
      const kernel = createKernelStack({ linger: 3000, report: () => undefined });
      open.push(kernel);
      for (const [from, to, address] of [
        [kernel, own, ownAddress],
        [own, kernel, kernelAddress],
      ] as const) {
        const [near, far] = await connected(from, to, address);
        expect(far.local.address.family).toBe(6);
        await Promise.all([transfer(near, far, 3_000_000), transfer(far, near, 3_000_000)]);
        await Promise.all([near.close(), far.close()]);
      }
    },
    60_000,
  );

  test("the kernel takes long segments from us to cut them, and hands us such", async () => {
    const own = await stack(ownStatic);
    const kernel = createKernelStack({ linger: 3000, report: () => undefined });
    open.push(kernel);
    const [near, far] = await connected(own, kernel, kernelAddress);
    // Cut to the MTU there would be 2083 frames each way, and those with ACKs.
    const before = own.netif.statistics.sentFrames;
    await transfer(near, far, 3_000_000);
    expect(own.netif.statistics.sentFrames - before).toBeLessThan(1500);
    const received = own.netif.statistics.receivedFrames;
    await transfer(far, near, 3_000_000);
    expect(own.netif.statistics.receivedFrames - received).toBeLessThan(1500);
    await Promise.all([near.close(), far.close()]);
  }, 60_000);

  test("datagrams go both ways, fragmented ones too, and a closed port is refused", async () => {
    const own = await stack(ownStatic);
    const kernel = createKernelStack({ report: () => undefined });
    open.push(kernel);
    const echo = await own.udp.bind({}, ({ bytes, offset, length, source, sourcePort }) => {
      echo.send(bytes, offset, length, source, sourcePort);
    });
    const lengths: number[] = [];
    const socket = await kernel.udp.bind({ address: IpAddress.any6 }, ({ length }) => lengths.push(length));
    for (const length of [0, 1, 1452, 1453, 20_000]) {
      socket.send(new Uint8Array(length), 0, length, ownAddress, echo.local.port);
      await until(() => lengths.at(-1) === length, `${length} bytes`);
    }
    expect(lengths).toEqual([0, 1, 1452, 1453, 20_000]);
    await expect(kernel.tcp.connect({ address: ownAddress, port: 9 })).rejects.toMatchObject({ kind: "refused" });
    await expect(own.tcp.connect({ address: kernelAddress, port: 9 })).rejects.toMatchObject({ kind: "refused" });
  });

  test("curl fetches over IPv6 from a listener on all addresses", async () => {
    const own = await stack(ownStatic);
    await own.tcp.listen({ port: 80 }, async (flow) => {
      await flow.read(new Uint8Array(4096));
      await flow.write(
        new TextEncoder().encode("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"),
      );
      await flow.close();
    });
    for (const url of ["http://[fd00:1::2]/", "http://10.1.0.2/"]) {
      expect(await namespace.succeeds("curl", ["-sS", "--max-time", "10", url])).toBe("hello");
    }
  });

  test("an address that the kernel has is refused", async () => {
    const taken = stack({ kind: "static", address: Prefix.parse("fd00:1::1/64"), probe: true });
    await expect(taken).rejects.toMatchObject({ kind: "address-in-use" });
  });

  test("radvd: an address, a router, name servers and the MTU come by themselves", async () => {
    const folder = await mkdtemp(join(tmpdir(), "tesserae-radvd-"));
    try {
      const configuration = join(folder, "radvd.conf");
      await writeFile(
        configuration,
        `interface t0 {
          AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4; AdvLinkMTU 1400; AdvDefaultLifetime 600;
          prefix fd00:1::/64 { AdvValidLifetime 3600; AdvPreferredLifetime 1800; };
          route fd00:77::/48 { };
          RDNSS fd00:1::53 { AdvRDNSSLifetime 300; };
          DNSSL tesserae.test { AdvDNSSLLifetime 300; };
        };`,
      );
      const own = await stack({ kind: "auto" });
      namespace.run("sysctl", ["-qw", "net.ipv6.conf.all.forwarding=1"]);
      const daemon = namespace.start("radvd", ["-n", "-C", configuration, "-p", join(folder, "pid"), "-m", "stderr"]);
      await until(() => own.addresses.some(({ family }) => family === 6), "an address");
      const address = own.addresses.find(({ family }) => family === 6)!;
      expect(Prefix.parse("fd00:1::/64").contains(address)).toBe(true);
      const on = own.ipv6!.interface(1);
      expect(on.routes.defaultRouters.map(String)).toEqual([expect.stringMatching(/^fe80:/)]);
      expect(on.linkMtu).toBe(1400);
      expect(own.nameServers.map(String)).toEqual(["fd00:1::53"]);
      expect(on.ndp.told.search).toEqual(["tesserae.test"]);
      expect(own.ipv6!.source(IpAddress.parse("fd00:77::1"))?.toString()).toBe(address.toString());
      expect(own.ipv6!.source(IpAddress.parse("2001:db8::1"))?.toString()).toBe(address.toString());
      const ran = await namespace.ran("ping", ["-6", "-c", "1", "-W", "10", address.toString()]);
      expect(ran.stdout).toContain("1 received");
      // A router that says good-bye: its last advertisement has a lifetime of 0.
      daemon.kill("SIGTERM");
      await until(() => on.routes.defaultRouters.length === 0, "the router to go");
    } finally {
      await rm(folder, { recursive: true });
    }
  }, 60_000);

  test("the kernel as a router with a narrow link behind it: path MTU discovery (RFC 8201)", async () => {
    const far = Namespace.create({ ipv6: true });
    try {
      const own = await stack(ownStatic);
      namespace.run("sysctl", ["-qw", "net.ipv6.conf.all.forwarding=1"]);
      namespace.ip(`link add narrow type veth peer name narrow netns ${far.name}`);
      for (const [each, address] of [
        [namespace, "fd00:2::1"],
        [far, "fd00:2::2"],
      ] as const) {
        each.ip("link set dev narrow mtu 1300 up");
        each.ip(`-6 address add ${address}/64 dev narrow nodad`);
      }
      far.ip("-6 route add default via fd00:2::1");
      const remote = IpAddress.parse("fd00:2::2");
      expect(await own.icmp6!.ping(remote)).toBeLessThan(5000);
      await expect(own.icmp6!.ping(remote, { size: 1400, timeout: 500 })).rejects.toMatchObject({
        kind: expect.stringMatching(/timeout|unreachable/) as string,
      });
      expect(own.ipv6!.mtu(remote)).toBe(1300);
      expect(await own.icmp6!.ping(remote, { size: 1400 })).toBeLessThan(5000);
      const flow = own.tcp.listen({ port: 80 }, async (each) => {
        const bytes = new Uint8Array(500_000);
        await each.write(bytes);
        await each.close();
      });
      await flow;
      const got = await far.succeeds("curl", [
        "-sS",
        "--http0.9",
        "--max-time",
        "20",
        "-o",
        "/dev/null",
        "-w",
        "%{size_download}",
        "http://[fd00:1::2]/",
      ]);
      expect(got).toBe("500000");
      expect(own.statistics.ipv6?.pathMtuLowered).toBeGreaterThan(0);
    } finally {
      far.destroy();
      namespace.attempt("ip", ["link", "delete", "narrow"]);
    }
  }, 60_000);
});
