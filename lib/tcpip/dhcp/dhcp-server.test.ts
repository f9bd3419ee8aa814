import { IpAddress, MacAddress, Prefix } from "@tesserae/device/address";
import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { createMemoryKv } from "@tesserae/kv/memory";
import { Lan } from "@tesserae/netif/lan";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { runVirtual } from "@tesserae/time/virtual-run";
import { expect, test } from "vitest";
import { createStack, type Ipv4Setting, type IpStack } from "../stack/stack.ts";
import { createDhcpServer, type DhcpServiceOptions } from "./dhcp-server.ts";

const ip = (text: string): IpAddress => IpAddress.parse(text);

async function setup() {
  const clock = new VirtualClock();
  const timers = new Scheduler(clock);
  const lan = new Lan({ timers, delay: 1 });
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
  const drive = <T>(promise: Promise<T>): Promise<T> => runVirtual({ clock, schedulers: [timers], turn }, promise);
  const host = (low: number, ipv4: Ipv4Setting): Promise<IpStack> =>
    drive(
      createStack({
        netif: lan.attach({ name: `host${low}`, mac: new MacAddress(0x0200, low) }),
        timers,
        random: new SeededRandom(low),
        ipv4,
      }),
    );
  const pause = (ms: number): Promise<void> =>
    drive(new Promise((resolve) => timers.timer(resolve).set(clock.now() + ms)));
  const router = await host(254, { kind: "static", address: Prefix.parse("10.0.0.1/24") });
  const serve = (more: Partial<DhcpServiceOptions> = {}) =>
    drive(
      createDhcpServer({
        on: router.interfaces[0]!,
        ...{ udp: router.udp, icmp: router.icmp, timers },
        pools: [
          {
            network: Prefix.parse("10.0.0.0/24"),
            first: ip("10.0.0.10"),
            last: ip("10.0.0.12"),
            router: ip("10.0.0.1"),
            nameServers: [ip("10.0.0.53")],
          },
        ],
        ...more,
      }),
    );
  return { clock, timers, lan, drive, pause, host, router, serve };
}

test("our client gets an address, its router and its name server; renews it, and gives it back", async () => {
  const { host, serve, drive, pause, router } = await setup();
  const server = await serve();
  const client = await host(1, { kind: "dhcp", hostName: "one" });
  const [address] = client.addresses;
  expect(address?.toString()).toMatch(/^10\.0\.0\.1[012]$/);
  expect(client.nameServers.map(String)).toEqual(["10.0.0.53"]);
  expect(client.ip.routes.entries.map(({ route }) => route.prefix.toString())).toContain("0.0.0.0/0");
  expect(await drive(router.icmp.ping(address!))).toBe(4);
  await pause(50_000_000);
  expect(client.addresses).toEqual([address]);
  expect(server.leases()).toMatchObject([{ client: "01020000000001", state: "bound", hostName: "one" }]);
  expect(server.statistics.offers).toBe(1);
  expect(server.statistics.acks).toBeGreaterThan(3);
  // A message that would have to wait for ARP goes with the stack that is closed.
  await drive(client.icmp.ping(ip("10.0.0.1")));
  await drive(client.close());
  await pause(10);
  expect(server.leases()[0]?.state).toBe("free");
});

test("an address that somebody has taken by hand is found out, and another offered", async () => {
  const { host, serve } = await setup();
  const server = await serve();
  for (const low of [10, 11]) await host(low, { kind: "static", address: Prefix.parse(`10.0.0.${low}/24`) });
  const client = await host(1, { kind: "dhcp", probe: false });
  expect(client.addresses.map(String)).toEqual(["10.0.0.12"]);
  expect(server.leases().filter(({ state }) => state === "declined").length).toBe(server.statistics.conflicts);
});

test("leases outlive the server, which stores each before it grants it", async () => {
  const { host, serve, drive, timers, clock } = await setup();
  const store = createMemoryKv({ clock: timers });
  const slow: typeof store = Object.create(store) as typeof store;
  const order: string[] = [];
  slow.set = async (key, bytes) => {
    await new Promise<void>((resolve) => timers.timer(resolve).set(clock.now() + 50));
    order.push(`stored ${key}`);
    await store.set(key, bytes);
  };
  for (const name of ["list", "get", "delete"] as const) slow[name] = store[name].bind(store) as never;
  const first = await serve({ store: slow });
  const client = await host(1, { kind: "dhcp", probe: false });
  const address = client.addresses[0]!.toString();
  expect(order).toEqual([`stored leases/${address}`]);
  await drive(first.close());
  // What somebody else wrote there does no harm.
  await store.set("leases/10.0.0.99", new TextEncoder().encode("{}"));
  await store.set("leases/junk", new TextEncoder().encode("[1,2"));
  const second = await serve({ store });
  expect(second.leases()).toMatchObject([{ client: "01020000000001", state: "bound" }]);
  expect(String(second.leases()[0]?.address)).toBe(address);
  const other = await host(2, { kind: "dhcp", probe: false, previous: ip(address) });
  expect(other.addresses.map(String)).not.toContain(address);
});
