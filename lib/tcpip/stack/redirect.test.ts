import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { IpAddress, MacAddress, Prefix } from "@tesserae/device/address";
import { protocolIcmp } from "@tesserae/device/ip";
import { Lan } from "@tesserae/netif/lan";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { runVirtual } from "@tesserae/time/virtual-run";
import { describe, expect, test } from "vitest";
import { ipv4 } from "../ipv4/wire.ts";
import { createRouter, type RouterOptions, type RouterStack } from "./router.ts";
import { createStack, type IpStack } from "./stack.ts";

const ip = (text: string): IpAddress => IpAddress.parse(text);
const far = "192.0.2.9";
const far6 = "2001:db8:9::9";

/**
 * A LAN with a host and two routers. The host's default router is the first, and what it sends to {@link far} had better
 * gone to the second, as the first knows.
 */
async function setup(options: { readonly follows?: boolean; readonly router?: Partial<RouterOptions> } = {}) {
  const { follows = false } = options;
  const clock = new VirtualClock();
  const timers = new Scheduler(clock);
  const lan = new Lan({ timers, delay: 1 });
  const beyond = new Lan({ timers, delay: 1 });
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
  const drive = <T>(promise: Promise<T>): Promise<T> => runVirtual({ clock, schedulers: [timers], turn }, promise);
  const pause = (ms: number): Promise<void> =>
    drive(new Promise((resolve) => timers.timer(resolve).set(clock.now() + ms)));
  let made = 0;
  const netif = (on: Lan) => on.attach({ name: `eth${made}`, mac: new MacAddress(0x0200, ++made) });
  const common = () => ({ timers, random: new SeededRandom(made + 1) });
  const four = (address: string, gateway?: string, destination?: string) => ({
    kind: "static" as const,
    address: Prefix.parse(address),
    ...(gateway === undefined || destination !== undefined ? {} : { gateway: ip(gateway) }),
    ...(gateway === undefined || destination === undefined
      ? {}
      : { routes: [{ prefix: Prefix.parse(destination), gateway: ip(gateway) }] }),
  });
  const six = (address: string, gateway?: string) => ({
    kind: "static" as const,
    address: Prefix.parse(address),
    ...(gateway === undefined ? {} : { gateway: ip(gateway) }),
    redirects: follows,
  });
  const second = await drive(
    createRouter({
      ...common(),
      interfaces: [
        { netif: netif(lan), ipv4: four("10.0.0.2/24"), ipv6: six("fd00::2/64") },
        { netif: netif(beyond), ipv4: four("192.0.2.1/24"), ipv6: six("2001:db8:9::1/64") },
      ],
    }),
  );
  const linkLocal = (of: IpStack): IpAddress =>
    of.ipv6!.interface(1).book.assigned.find((each) => String(each.address).startsWith("fe80"))!.address;
  const first = await drive(
    createRouter({
      ...common(),
      interfaces: [
        {
          netif: netif(lan),
          ipv4: four("10.0.0.1/24", "10.0.0.2", "192.0.2.0/24"),
          ipv6: six("fd00::1/64", String(linkLocal(second))),
        },
      ],
      ...options.router,
    }),
  );
  const host = await drive(
    createStack({
      ...common(),
      netif: netif(lan),
      ipv4: { ...four("10.0.0.9/24", "10.0.0.1"), redirects: follows },
      ipv6: six("fd00::9/64", String(linkLocal(first))),
    }),
  );
  await drive(
    createStack({
      ...common(),
      netif: netif(beyond),
      ipv4: four(`${far}/24`, "192.0.2.1"),
      ipv6: six(`${far6}/64`, "2001:db8:9::1"),
    }),
  );
  const hop = (): string => {
    const { routes } = host.ip;
    return String(IpAddress.v4(routes.nextHopAt(routes.find(ip(far).w3), ip(far).w3)));
  };
  return { clock, drive, pause, first, second, host, hop, linkLocal };
}

const told = ({ forwarding }: RouterStack): number => forwarding.statistics.redirects;

describe("RFC 1812 §5.2.7.2: a router redirects", () => {
  test("the sender of a packet that leaves where it came from, which goes on all the same; not again for a while", async () => {
    const { drive, pause, first, host, hop } = await setup();
    expect(await drive(host.icmp.ping(ip(far)))).toBeGreaterThan(5);
    expect(told(first)).toBe(1);
    // RFC 1122 §3.2.2.2: passed over unless they are asked for.
    expect(host.statistics.ipv4).toMatchObject({ redirects: 0, redirectsIgnored: 1 });
    expect(hop()).toBe("10.0.0.1");
    for (let count = 0; count < 20; count++) await drive(host.icmp.ping(ip(far)));
    expect(told(first)).toBe(1);
    await pause(5000);
    await drive(host.icmp.ping(ip(far)));
    expect(told(first)).toBe(2);
    expect(first.forwarding.statistics.forwarded).toBe(22);
  });

  test("a host that follows them goes to the better router itself, for that destination alone, for ten minutes", async () => {
    const { drive, pause, first, host, hop } = await setup({ follows: true });
    await drive(host.icmp.ping(ip(far)));
    expect(hop()).toBe("10.0.0.2");
    expect(host.statistics.ipv4.redirects).toBe(1);
    const { forwarded } = first.forwarding.statistics;
    expect(await drive(host.icmp.ping(ip(far)))).toBe(4);
    expect(first.forwarding.statistics.forwarded).toBe(forwarded);
    expect(host.ip.routes.entries).toHaveLength(3);
    await pause(600_000);
    expect(hop()).toBe("10.0.0.1");
    expect(host.ip.routes.entries).toHaveLength(2);
  });

  test("when the better router does not answer, the way is the old one", async () => {
    const { drive, pause, first, second, host, hop } = await setup({ follows: true });
    await drive(host.icmp.ping(ip(far)));
    expect(hop()).toBe("10.0.0.2");
    await second.close();
    await pause(400_000);
    await expect(drive(host.icmp.ping(ip(far), { timeout: 10_000 }))).rejects.toThrow();
    expect(hop()).toBe("10.0.0.1");
    await first.close();
  });

  test("not when it is told not to", async () => {
    const { drive, first, host } = await setup({ router: { redirects: false } });
    await drive(host.icmp.ping(ip(far)));
    await drive(host.icmp6!.ping(ip(far6)));
    expect([told(first), first.forwarding6?.statistics.redirects]).toEqual([0, 0]);
  });
});

describe("RFC 1122 §3.2.2.2: a redirect is checked", () => {
  /** One about a packet to `destination`, as it arrives from `from`. */
  function redirect(host: IpStack, from: string, gateway: string, destination = far, source = "10.0.0.9"): void {
    const quote = new Uint8Array(28);
    quote.set([0x45, 0, 0, 28, 0, 0, 0, 0, 64, protocolIcmp]);
    ipv4.field.source.set(quote, 0, ip(source));
    ipv4.field.destination.set(quote, 0, ip(destination));
    host.ip.reportRedirect(ip(from), 1, ip(gateway).w3, quote, 0, quote.length);
  }

  test("the router in use says it, of a neighbour, about a packet of ours", async () => {
    const { host, hop } = await setup({ follows: true });
    redirect(host, "10.0.0.2", "10.0.0.3");
    redirect(host, "10.0.0.1", "192.0.2.1");
    redirect(host, "10.0.0.1", "10.0.0.255");
    redirect(host, "10.0.0.1", "10.0.0.9");
    redirect(host, "10.0.0.1", "10.0.0.1");
    redirect(host, "10.0.0.1", "10.0.0.3", far, "10.0.0.8");
    redirect(host, "10.0.0.77", "10.0.0.3", "10.0.0.77");
    expect(hop()).toBe("10.0.0.1");
    expect(host.statistics.ipv4).toMatchObject({ redirects: 0, redirectsIgnored: 7 });
    redirect(host, "10.0.0.1", "10.0.0.3");
    expect(hop()).toBe("10.0.0.3");
    // From then on the other one is the router in use.
    redirect(host, "10.0.0.1", "10.0.0.4");
    redirect(host, "10.0.0.3", "10.0.0.2");
    expect(hop()).toBe("10.0.0.2");
  });

  test("they are bounded, the newest stay, and go with the address", async () => {
    const { host } = await setup({ follows: true });
    for (let index = 0; index < 200; index++) redirect(host, "10.0.0.1", "10.0.0.3", `198.51.100.${index}`);
    const own = host.ip.routes.entries.filter(({ route }) => route.prefix.length === 32);
    expect(own.map(({ route }) => String(route.prefix.address))).toEqual(
      Array.from({ length: 32 }, (_, index) => `198.51.100.${index + 168}`),
    );
    host.ip.interface(1).configure({ address: Prefix.parse("10.0.0.9/24") });
    expect(host.ip.routes.entries).toHaveLength(1);
  });

  test("a router follows none", async () => {
    const { first } = await setup({ follows: true });
    first.ip.interface(1).redirects = true;
    redirect(first, "10.0.0.2", "10.0.0.3", far, "10.0.0.1");
    expect(first.statistics.ipv4).toMatchObject({ redirects: 0, redirectsIgnored: 1 });
  });
});

describe("RFC 4861 §8.2: a router redirects", () => {
  test("a neighbour to the better router, by its link-local address; who follows goes there", async () => {
    const { drive, pause, first, second, host, linkLocal } = await setup({ follows: true });
    await pause(5000);
    await drive(host.icmp6!.ping(ip(far6)));
    expect(first.forwarding6?.statistics.redirects).toBe(1);
    const on = host.ipv6!.interface(1);
    expect(on.ndp.statistics).toMatchObject({ redirects: 1, redirectsIgnored: 0, invalid: 0 });
    expect(on.routes.find(ip(far6))?.gateway).toEqual(linkLocal(second));
    const forwarded = first.forwarding6?.statistics.forwarded;
    // Its MAC address was not known yet, and is asked for.
    await drive(host.icmp6!.ping(ip(far6)));
    expect(await drive(host.icmp6!.ping(ip(far6)))).toBe(4);
    expect(first.forwarding6?.statistics.forwarded).toBe(forwarded);
  });

  test("long packets are quoted as far as fits; hosts that do not follow are not told again for a while", async () => {
    const { drive, pause, first, host } = await setup();
    await pause(5000);
    for (const size of [1400, 1399, 8]) await drive(host.icmp6!.ping(ip(far6), { size }));
    expect(first.forwarding6?.statistics.redirects).toBe(1);
    expect(first.ipv6!.interface(1).ndp.statistics.redirectsSent).toBe(1);
    expect(host.ipv6!.interface(1).ndp.statistics).toMatchObject({ redirects: 0, redirectsIgnored: 1, invalid: 0 });
  });
});
