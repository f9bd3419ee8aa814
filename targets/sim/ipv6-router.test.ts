import { IpAddress, Prefix } from "@tesserae/device/address";
import { headroom } from "@tesserae/device/page";
import { ipv6 } from "@tesserae/tcpip/ipv6/wire";
import { sleep } from "@tesserae/time/sleep";
import { describe, expect, test } from "vitest";
import type { HostForwarding, HostInterface } from "./host-stack.ts";
import { createWorld } from "./world.ts";

const ip = (text: string): IpAddress => IpAddress.parse(text);

/** `inside` makes its addresses of what the router tells; `outside` has one, and a route back. */
function home(inside: Partial<HostInterface> = {}, forwarding: boolean | HostForwarding = true) {
  const world = createWorld({ link: { delay: 1 } });
  const router = world.router(
    "router",
    [
      { lan: "out", ipv4: "198.51.100.1/24", ipv6: "2001:db8::1/64" },
      { lan: "in", ipv4: "10.1.0.1/24", ipv6: "2001:db8:1::1/64", advertise: true, ...inside },
    ],
    { forwarding },
  );
  const outside = world.host("outside", { lan: "out", ipv6: "2001:db8::2/64", gateway6: "2001:db8::1" });
  const near = world.host("inside", { lan: "in", ipv4: "10.1.0.2/24", ipv6: "auto" });
  const addressed = async () => {
    await Promise.all([router.ready, outside.ready, near.ready]);
    await sleep(world.timers, 10_000);
  };
  return { world, router, outside, near, addressed };
}

describe("RFC 4861 §6.2: a router advertises", () => {
  test("hosts make addresses, find their way through it, and it is told that they are there", async () => {
    const { world, router, outside, near, addressed } = home();
    world.task("test", async () => {
      await addressed();
      const [, own] = near.addresses;
      expect(own?.toString()).toMatch(/^2001:db8:1:0:/);
      expect(near.ownStack.ipv6?.interface(1).routes.defaultRouters.map(String)).toEqual([
        router.ownStack.ipv6
          ?.interface(2)
          .book.assigned.find((each) => String(each.address).startsWith("fe80"))
          ?.address.toString(),
      ]);
      // Two hops there and back, with questions to neighbours the first time.
      expect(await near.ownStack.icmp6?.ping(ip("2001:db8::2"))).toBeGreaterThanOrEqual(4);
      expect(await near.ownStack.icmp6?.ping(ip("2001:db8::2"))).toBe(4);
      expect(await outside.ownStack.icmp6?.ping(own!, { size: 20_000 })).toBe(4);
      // RFC 1812's weak model for IPv6 too: any of its addresses is answered on every interface.
      expect(await near.ownStack.icmp6?.ping(ip("2001:db8::1"))).toBe(2);
      // Who comes later asks, and is answered at once (§6.2.6).
      await sleep(world.timers, 60_000);
      const late = world.host("late", { lan: "in", ipv4: "10.1.0.3/24", ipv6: "auto" });
      await late.ready;
      await sleep(world.timers, 5000);
      expect(late.addresses).toHaveLength(2);
    });
    await world.run();
    expect(router.forwarding6?.forwarded).toBeGreaterThan(30);
    const told = router.ownStack.ipv6?.interface(2).ndp.statistics;
    expect(told?.routerSolicitations).toBe(1);
    expect(told?.routerAdvertisementsSent).toBeGreaterThan(1);
    expect(router.ownStack.ipv6?.interface(1).ndp.statistics.routerAdvertisementsSent).toBe(0);
    await world.close();
    expect(world.leaks()).toEqual([]);
  });

  test("what the options say is told", async () => {
    const { world, near, addressed } = home({
      advertise: {
        mtu: 1400,
        hopLimit: 77,
        preference: "high",
        nameServers: [ip("2001:db8:1::53")],
        search: ["lan.example"],
        routes: [{ prefix: Prefix.parse("2001:db8:7::/48"), lifetime: 60_000 }],
      },
    });
    world.task("test", addressed);
    await world.run();
    const on = near.ownStack.ipv6!.interface(1);
    expect(on.linkMtu).toBe(1400);
    expect(on.hopLimit).toBe(77);
    expect(near.ownStack.nameServers.map(String)).toEqual(["2001:db8:1::53"]);
    expect(on.ndp.told.search).toEqual(["lan.example"]);
    expect(on.routes.find(ip("2001:db8:7::1"))).toMatchObject({ origin: "route" });
    expect(on.routes.find(ip("2001:db8:9::1"))).toMatchObject({ origin: "router", preference: 1 });
    await world.close();
  });

  test("§6.2.5: a router that stops says so", async () => {
    const { world, router, near, addressed } = home();
    world.task("test", async () => {
      await addressed();
      expect(near.ownStack.ipv6?.interface(1).routes.defaultRouters).toHaveLength(1);
      await router.ownStack.close();
      await sleep(world.timers, 100);
      expect(near.ownStack.ipv6?.interface(1).routes.defaultRouters).toHaveLength(0);
    });
    await world.run();
    await world.close();
  });
});

describe("RFC 8200, RFC 4443: a router passes packets on", () => {
  test("a hop limit used up, no route, a neighbour that is not there: the sender is told by the router", async () => {
    const { world, router, near, addressed } = home();
    const errors: string[] = [];
    world.task("test", async () => {
      await addressed();
      const own = near.ownStack.ipv6!;
      own.listenErrors(253, ({ kind, reporter }) => errors.push(`${kind} ${reporter.toString()}`));
      const send = (to: string, hopLimit = 64): boolean =>
        own.send(ip(to), 253, own.allocate(undefined, ip(to))!, headroom, 100, { hopLimit });
      send("2001:db8::2", 1);
      send("2001:db8:ffff::1");
      send("2001:db8::99");
      await sleep(world.timers, 5000);
    });
    await world.run();
    expect(errors).toEqual([
      "time-exceeded 2001:db8:1::1",
      "unreachable-network 2001:db8:1::1",
      "unreachable-host 2001:db8:1::1",
    ]);
    expect(router.forwarding6).toMatchObject({ hopLimit: 1, noRoute: 1 });
    await world.close();
  });

  test("a packet too big for the next link is not cut: its sender learns the MTU", async () => {
    const { world, router, outside, near, addressed } = home({ mtu: 1280, advertise: { mtu: 1280 } });
    world.task("test", async () => {
      await addressed();
      const [, own] = near.addresses;
      let got = 0;
      await near.stack.tcp.listen({ port: 9 }, async (flow) => {
        const into = new Uint8Array(65_536);
        for (let read = await flow.read(into); read > 0; read = await flow.read(into)) got += read;
        await flow.close();
      });
      const flow = await outside.stack.tcp.connect({ address: own!, port: 9 });
      await flow.write(new Uint8Array(100_000));
      await flow.close();
      // The first echo's fragments are what tells of the path; the peer's MSS had kept TCP's segments small.
      const lost = outside.ownStack.icmp6?.ping(own!, { size: 4000, timeout: 1000 });
      await expect(lost).rejects.toThrow("packet-too-big, says 2001:db8::1");
      expect(outside.ownStack.ipv6?.mtu(own!)).toBe(1280);
      expect(await outside.ownStack.icmp6?.ping(own!, { size: 4000 })).toBeGreaterThan(3);
      expect(got).toBe(100_000);
      expect(outside.ownStack.ipv6?.mtu(own!)).toBe(1280);
    });
    await world.run();
    expect(router.forwarding6?.tooBig).toBeGreaterThan(0);
    expect(router.forwarding6?.fragments).toBe(0);
    await world.close();
  });

  test("link-local addresses stay on their link, and forged sources are not believed", async () => {
    const { world, router, outside, near, addressed } = home();
    let got = 0;
    world.task("test", async () => {
      await addressed();
      outside.ownStack.ipv6?.listen(253, () => got++);
      const frame = (source: string, destination: string): void => {
        const page = near.netif.allocate()!;
        router.netifs[1]!.mac.write(page.bytes, headroom);
        near.mac.write(page.bytes, headroom + 6);
        page.bytes.set([0x86, 0xdd], headroom + 12);
        const packet = headroom + 14;
        page.bytes.set([0x60, 0, 0, 0, 0, 8, 253, 64], packet);
        ipv6.field.source.set(page.bytes, packet, ip(source));
        ipv6.field.destination.set(page.bytes, packet, ip(destination));
        near.netif.transmit(page, headroom, 14 + 48);
      };
      frame("2001:db8:1::5", "fe80::1:2");
      frame("fe80::5", "2001:db8::2");
      frame("2001:db8::2", "2001:db8::2");
      frame("2001:db8:1::1", "2001:db8::2");
      frame("::", "2001:db8::2");
      await sleep(world.timers, 1000);
    });
    await world.run();
    expect(router.forwarding6).toMatchObject({ forwarded: 0, refusedDestination: 2, refusedSource: 2 });
    expect(got).toBe(0);
    await world.close();
  });

  test("a host that does not forward tells nobody that it is a router, and passes nothing on", async () => {
    const { world, router, near, addressed } = home({ advertise: false }, false);
    world.task("test", async () => {
      await addressed();
      expect(near.addresses.map(String)).toEqual(["10.1.0.2"]);
    });
    await world.run();
    expect(router.forwarding6).toBeUndefined();
    expect(router.ownStack.ipv6?.interface(2).ndp.isRouter).toBe(false);
    await world.close();
  });
});
