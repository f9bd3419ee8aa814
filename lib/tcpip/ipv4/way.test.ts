import { IpAddress, Prefix } from "@tesserae/device/address";
import { createLink } from "@tesserae/netif/link";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { expect, test } from "vitest";
import { createEthernet } from "../ethernet/ethernet.ts";
import { Link } from "../ip/link.ts";
import { Ipv4Interface, type NextHopSender } from "./interface.ts";
import { Interfaces } from "./interfaces.ts";
import { Way } from "./way.ts";

const arp: NextHopSender = {
  sendIpv4: () => true,
  configureLink: () => undefined,
  listenUnreachable: () => undefined,
};

function host(): { table: Interfaces; eth: Ipv4Interface } {
  const table = new Interfaces();
  const { a: netif } = createLink({ timers: new Scheduler(new VirtualClock()) });
  const link = new Link(1, "eth0", createEthernet({ netif }));
  const eth = new Ipv4Interface(link, arp, (changed, routes) => {
    table.routes.set(changed.index, routes);
    table.changed();
  });
  table.all.push(eth);
  return { table, eth };
}

test("the way to the same destination is another one once addresses and routes are", () => {
  const { table, eth } = host();
  const way = new Way();
  const peer = IpAddress.parse("198.51.100.7");
  const choose = (): (string | number)[] | undefined =>
    way.choose(table, peer, undefined, 0)
      ? [way.cast, IpAddress.v4(way.source).toString(), IpAddress.v4(way.nextHop).toString()]
      : undefined;
  eth.configure({ address: Prefix.parse("192.0.2.1/24"), gateway: IpAddress.parse("192.0.2.254") });
  expect(choose()).toEqual(["unicast", "192.0.2.1", "192.0.2.254"]);
  expect(choose()).toEqual(["unicast", "192.0.2.1", "192.0.2.254"]);
  eth.configure({ address: Prefix.parse("198.51.100.1/24") });
  expect(choose()).toEqual(["unicast", "198.51.100.1", "198.51.100.7"]);
  eth.configure({ address: Prefix.parse("198.51.100.7/24") });
  expect(choose()?.[0]).toBe("local");
  eth.configure(undefined);
  expect(choose()).toBeUndefined();
});

test("a choice that fails is not taken for the one before", () => {
  const { table, eth } = host();
  const way = new Way();
  const peer = IpAddress.parse("192.0.2.7");
  eth.configure({ address: Prefix.parse("192.0.2.1/24") });
  expect(way.choose(table, peer, undefined, 0)).toBe(true);
  expect(way.choose(table, IpAddress.parse("203.0.113.1"), undefined, 0)).toBe(false);
  expect(way.choose(table, peer, undefined, 0)).toBe(true);
  expect(way.nextHop).toBe(peer.w3);
  // Another source, another interface: not the same question.
  expect(way.choose(table, peer, IpAddress.parse("192.0.2.99"), 0)).toBe(false);
  expect(way.choose(table, peer, undefined, 2)).toBe(false);
  expect(way.choose(table, peer, IpAddress.parse("192.0.2.1"), 1)).toBe(true);
});
