import type { Devices } from "@tesserae/config/config";
import { IpAddress } from "@tesserae/device/address";
import { createDhcpServer } from "@tesserae/tcpip/dhcp/dhcp-server";
import { createRouter } from "@tesserae/tcpip/stack/router";
import type { config } from "./tesserae.config.ts";
import { parseAddresses, parseForwards, parseReservations } from "./settings.ts";

/**
 * A router for a home: those inside get addresses, and reach what is outside by the one IPv4 address that it has there,
 * and by their own IPv6 ones.
 */
export async function main({ outside, inside, leases, timers, random, log, keys, signal }: Devices<typeof config>) {
  const { network } = keys;
  const router = await createRouter({
    timers,
    random,
    log,
    signal,
    interfaces: [
      { netif: outside, name: "outside", ipv4: keys.address, ipv6: keys.address6 },
      {
        netif: inside,
        name: "inside",
        ipv4: { kind: "static", address: network },
        ipv6: { kind: "static", address: keys.network6 },
        advertise: true,
      },
    ],
    nat: { outside: 1, forwards: parseForwards(keys.forward) },
  });
  const [, link] = router.interfaces;
  if (link === undefined) throw new TypeError("the router has one interface only");
  const start = network.address.w3 & (-1 << (32 - network.length));
  const dhcp = await createDhcpServer({
    on: link,
    udp: router.udp,
    icmp: router.icmp,
    timers,
    log,
    store: leases,
    authoritative: true,
    pools: [
      {
        network,
        first: IpAddress.v4(start + keys.first),
        last: IpAddress.v4(start + keys.first + keys.count - 1),
        router: network.address,
        nameServers: parseAddresses(keys.dns),
        fixed: parseReservations(keys.reservations),
        mtu: inside.mtu,
      },
    ],
  });
  log.info("routing", { outside: String(router.addresses[0]), inside: network.toString() });
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
  const { sessions } = router.nat?.size ?? { sessions: 0 };
  log.info("stopping", {
    forwarded: router.forwarding.statistics.forwarded,
    forwarded6: router.forwarding6?.statistics.forwarded,
    sessions,
    leases: dhcp.leases().length,
  });
  await dhcp.close();
  await router.close();
}
