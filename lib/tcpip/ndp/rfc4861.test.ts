import { IpAddress, MacAddress, Prefix } from "@tesserae/device/address";
import { headroom } from "@tesserae/device/page";
import { describe, expect, test } from "vitest";
import {
  advertisement,
  bytesOf,
  LinkPeer,
  macBytes,
  peer,
  peerMac,
  prefixOption,
  sourceMac,
} from "../ipv6/link-peer.ts";

/** A host with fd00::1/64 and fe80::… that has said all it has to say by itself. */
async function host(options: ConstructorParameters<typeof LinkPeer>[0] = {}): Promise<LinkPeer> {
  const link = new LinkPeer({ identifiers: "eui64", ...options });
  expect(await link.on.add(Prefix.parse("fd00::1/64"))).toBe(true);
  link.pass(10_000);
  link.heard();
  return link;
}

/** Sends one packet of protocol 253 with 10 bytes. */
function send(link: LinkPeer, destination: string): boolean {
  const page = link.ip.allocate()!;
  const sent = link.ip.send(IpAddress.parse(destination), 253, page, headroom, 10);
  link.pass(0);
  return sent;
}

const packet = (to: string): string => `fd00::1 > ${to} protocol 253, 10 bytes`;
const question = "fd00::1 > ff02::1:ff00:2 who-has fd00::2 mac";

describe("RFC 4861 §7.2: address resolution", () => {
  test("§7.2.2: asks the solicited-node group, keeps the packets, sends them in order", async () => {
    const link = await host();
    expect([send(link, "fd00::2"), send(link, "fd00::2")]).toEqual([true, true]);
    expect(link.heard()).toEqual([question]);
    link.advertise("fd00::2", "fd00::1", "fd00::2", "SO");
    const [first, second, ...rest] = link.frames();
    expect([first, second].map((frame) => MacAddress.read(frame!, 0).toString())).toEqual([
      peerMac.toString(),
      peerMac.toString(),
    ]);
    expect(rest).toEqual([]);
  });

  test("§7.2.2: three questions, a second apart, then the sender is told", async () => {
    const link = await host();
    const errors: string[] = [];
    link.ip.listenErrors(253, ({ kind, destination }) => errors.push(`${kind} ${destination.toString()}`));
    send(link, "fd00::2");
    for (let second = 0; second < 2; second++) {
      expect(link.heard()).toEqual([question]);
      link.pass(1000);
    }
    expect(link.heard()).toEqual([question]);
    expect(errors).toEqual([]);
    link.pass(1000);
    expect(errors).toEqual(["unreachable-host fd00::2"]);
    // For a moment nobody is asked again.
    expect(send(link, "fd00::2")).toBe(false);
    expect(link.heard()).toEqual([]);
  });

  test("§7.2.4: a question for us is answered to who asks, and its sender is remembered", async () => {
    const link = await host();
    link.solicit("fd00::2", "ff02::1:ff00:1", "fd00::1");
    expect(link.heard()).toEqual(["fd00::1 > fd00::2 is-at fd00::1 SO mac"]);
    expect(link.on.neighbours.cache.get(IpAddress.parse("fd00::2"))?.state).toBe("stale");
    send(link, "fd00::2");
    expect(link.heard()).toEqual([packet("fd00::2")]);
  });

  test("§7.2.4: one that looks whether our address is free is answered to all", async () => {
    const link = await host();
    link.solicit("::", "ff02::1:ff00:1", "fd00::1");
    expect(link.heard()).toEqual(["fd00::1 > ff02::1 is-at fd00::1 O mac"]);
  });

  test("§7.2.3: others' questions are not ours, and strangers from elsewhere are not noted", async () => {
    const link = await host();
    link.solicit("fd00::2", "fd00::1", "fd00::77");
    expect(link.heard()).toEqual([]);
    link.solicit("2001:db8::1", "fd00::1", "fd00::1");
    expect(link.on.neighbours.cache.get(IpAddress.parse("2001:db8::1"))).toBeUndefined();
  });

  test.each<[string, (link: LinkPeer) => void]>([
    [
      "a router has touched it",
      (link) => link.icmp6("fd00::2", "fd00::1", 135, 0, [0, 0, 0, 0, ...bytesOf("fd00::1")], { hopLimit: 254 }),
    ],
    ["its code is not 0", (link) => link.icmp6("fd00::2", "fd00::1", 135, 1, [0, 0, 0, 0, ...bytesOf("fd00::1")])],
    ["it is too short", (link) => link.icmp6("fd00::2", "fd00::1", 135, 0, [0, 0, 0, 0])],
    ["its target is a group", (link) => link.solicit("fd00::2", "fd00::1", "ff02::1")],
    ["an option has no length", (link) => link.solicit("fd00::2", "fd00::1", "fd00::1", [1, 0, 0, 0, 0, 0, 0, 0])],
    ["an option is cut off", (link) => link.solicit("fd00::2", "fd00::1", "fd00::1", [1, 2, 0, 0, 0, 0, 0, 0])],
    [
      "nobody's question carries a MAC address",
      (link) => link.solicit("::", "ff02::1:ff00:1", "fd00::1", [...sourceMac]),
    ],
    ["nobody's question comes to us alone", (link) => link.solicit("::", "fd00::1", "fd00::1")],
  ])("§7.1.1: void when %s", async (_, act) => {
    const link = await host();
    // `solicit` leaves the option out for `::`; here it is written by hand.
    if (_.startsWith("nobody's question carries")) {
      link.icmp6("::", "ff02::1:ff00:1", 135, 0, [0, 0, 0, 0, ...bytesOf("fd00::1"), ...sourceMac]);
    } else act(link);
    expect(link.heard()).toEqual([]);
    expect(link.on.ndp.statistics.invalid).toBe(1);
  });

  test("§7.1.2: a solicited answer to all is void", async () => {
    const link = await host();
    send(link, "fd00::2");
    link.heard();
    link.advertise("fd00::2", "ff02::1", "fd00::2", "SO");
    expect(link.heard()).toEqual([]);
    expect(link.on.ndp.statistics.invalid).toBe(1);
  });
});

describe("RFC 4861 §7.2.5: what an advertisement changes", () => {
  const other = MacAddress.parse("02:00:00:00:00:77");
  const states: [string, string, MacAddress | null, string, MacAddress][] = [
    // flags, state before, MAC told, state after, MAC after
    ["", "reachable", other, "stale", peerMac],
    ["", "stale", other, "stale", peerMac],
    ["O", "reachable", other, "stale", other],
    ["SO", "stale", other, "reachable", other],
    ["S", "stale", peerMac, "reachable", peerMac],
    ["S", "stale", null, "reachable", peerMac],
    ["O", "reachable", peerMac, "reachable", peerMac],
  ];
  test.each(states)("%s in %s with %s: %s", async (flags, before, mac, after, macAfter) => {
    const link = await host();
    send(link, "fd00::2");
    link.advertise("fd00::2", "fd00::1", "fd00::2", before === "reachable" ? "SO" : "O");
    const neighbour = link.on.neighbours.cache.get(IpAddress.parse("fd00::2"))!;
    // What waited has been sent, so a stale one is being used: `delay`.
    if (before === "stale") neighbour.state = "stale";
    expect(neighbour.state).toBe(before);
    link.advertise("fd00::2", "fd00::1", "fd00::2", flags, mac);
    expect(neighbour.state).toBe(after);
    expect(neighbour.mac?.equals(macAfter)).toBe(true);
  });

  test("about somebody we do not know, it makes no entry", async () => {
    const link = await host();
    link.advertise("fd00::2", "ff02::1", "fd00::2", "O");
    expect(link.on.neighbours.cache.size).toBe(0);
    expect(link.on.neighbours.statistics.unsolicited).toBe(1);
  });
});

describe("RFC 4861 §7.3: neighbour unreachability detection", () => {
  async function met(): Promise<LinkPeer> {
    const link = await host();
    send(link, "fd00::2");
    link.advertise("fd00::2", "fd00::1", "fd00::2", "SO");
    link.heard();
    return link;
  }

  test("used after its time: five seconds of grace, then it is asked alone, three times, then forgotten", async () => {
    const link = await met();
    link.pass(45_001);
    expect(send(link, "fd00::2")).toBe(true);
    expect(link.heard()).toEqual([packet("fd00::2")]);
    link.pass(4999);
    expect(link.heard()).toEqual([]);
    for (let probe = 0; probe < 3; probe++) {
      link.pass(probe === 0 ? 1 : 1000);
      expect(link.heard()).toEqual(["fd00::1 > fd00::2 who-has fd00::2 mac"]);
    }
    link.pass(1000);
    expect(link.on.neighbours.cache.get(IpAddress.parse("fd00::2"))).toBeUndefined();
  });

  test("an answer to a probe makes it reachable again", async () => {
    const link = await met();
    link.pass(45_001);
    send(link, "fd00::2");
    link.pass(5000);
    link.advertise("fd00::2", "fd00::1", "fd00::2", "S", null);
    expect(link.on.neighbours.cache.get(IpAddress.parse("fd00::2"))?.state).toBe("reachable");
    link.heard();
    link.pass(10_000);
    expect(link.heard()).toEqual([]);
  });

  test("§7.3.1: word from a transport spares the probes", async () => {
    const link = await met();
    for (let second = 0; second < 120; second++) {
      link.pass(1000);
      send(link, "fd00::2");
      link.ip.confirm(IpAddress.parse("fd00::2"));
    }
    expect(link.heard().filter((line) => line.includes("who-has"))).toEqual([]);
  });

  test("RFC 6583: who scans the prefix pushes out nobody that has answered, and fills no memory", async () => {
    const link = await met();
    for (let index = 0; index < 5000; index++) send(link, `fd00::1:${(index + 16).toString(16)}`);
    for (let index = 0; index < 5000; index++) {
      link.solicit(`fd00::2:${(index + 16).toString(16)}`, "fd00::1", "fd00::1");
      if (index % 50 === 0) link.pass(250);
    }
    expect(link.on.neighbours.cache.size).toBeLessThanOrEqual(512);
    expect(link.on.neighbours.lookup(IpAddress.parse("fd00::2"))?.equals(peerMac)).toBe(true);
    expect(link.errors).toEqual([]);
  });
});

describe("RFC 4861 §6.3: routers", () => {
  const far = "2001:db8::1";
  const setup = (options: ConstructorParameters<typeof LinkPeer>[0] = {}): LinkPeer => {
    const link = new LinkPeer({ identifiers: "eui64", ...options });
    link.on.autoconfigure();
    link.pass(20_000);
    link.heard();
    return link;
  };
  const told = (link: LinkPeer, rest: readonly number[], source = peer): void =>
    link.icmp6(source, "ff02::1", 134, 0, rest);
  const withPrefix = prefixOption("fd00:5::/64", "LA", 3600, 1800);

  test("§6.3.7: three solicitations, four seconds apart, once there is an address", () => {
    const link = new LinkPeer({ identifiers: "eui64" });
    link.on.autoconfigure();
    const heard: string[] = [];
    for (let step = 0; step < 200; step++) {
      link.pass(100);
      for (const line of link.heard()) if (line.includes("router")) heard.push(`${String(link.clock.now())} ${line}`);
    }
    expect(heard.map((line) => line.slice(line.indexOf(" ") + 1))).toEqual(
      Array<string>(3).fill("fe80::ff:fe00:1 > ff02::2 router-solicitation mac"),
    );
    const times = heard.map((line) => Number(line.split(" ")[0]));
    expect([times[1]! - times[0]!, times[2]! - times[1]!]).toEqual([4000, 4000]);
  });

  test("§6.3.7: none any more once a router has spoken", () => {
    const link = new LinkPeer({ identifiers: "eui64" });
    link.on.autoconfigure();
    link.pass(2500);
    told(link, advertisement(600));
    link.heard();
    link.pass(30_000);
    expect(link.heard().filter((line) => line.includes("router"))).toEqual([]);
  });

  test("§6.3.4: a default router, its MAC address, the hop limit, the MTU, a prefix on the link", () => {
    const link = setup();
    told(link, advertisement(600, [...sourceMac, 5, 1, 0, 0, 0, 0, 5, 120, ...withPrefix], 0, 99));
    expect(link.on.routes.defaultRouters.map(String)).toEqual([peer]);
    expect([link.on.hopLimit, link.on.linkMtu]).toEqual([99, 1400]);
    expect(link.on.routes.isOnLink(IpAddress.parse("fd00:5::77"))).toBe(true);
    expect(link.on.routes.isOnLink(IpAddress.parse(far))).toBe(false);
    link.pass(3000);
    link.heard();
    // Its MAC address came with the advertisement: nobody is asked.
    expect(send(link, far)).toBe(true);
    const [frame, ...others] = link.frames();
    expect([frame?.[14 + 7], others]).toEqual([99, []]);
  });

  test("§6.3.4: a lifetime of 0 takes the router back, and so does the end of it", () => {
    const link = setup();
    told(link, advertisement(600));
    told(link, advertisement(0));
    expect(link.on.routes.defaultRouters).toEqual([]);
    told(link, advertisement(30));
    link.pass(29_999);
    expect(link.on.routes.defaultRouters).toHaveLength(1);
    link.pass(1);
    expect(link.on.routes.defaultRouters).toEqual([]);
    expect(link.ip.source(IpAddress.parse(far))).toBeUndefined();
  });

  test("§6.1.2: only from link-local addresses, with a hop limit of 255, and whole", () => {
    const link = setup();
    told(link, advertisement(600), "fd00::9");
    link.icmp6(peer, "ff02::1", 134, 0, advertisement(600), { hopLimit: 1 });
    link.icmp6(peer, "ff02::1", 134, 0, advertisement(600).slice(0, 8));
    told(link, advertisement(600, [3, 0, 0, 0, 0, 0, 0, 0]));
    expect(link.on.routes.all).toEqual([]);
    expect(link.on.ndp.statistics.invalid).toBe(4);
  });

  test("values that would cut us off are not believed: MTU, hop limit", () => {
    const link = setup();
    told(link, advertisement(600, [5, 1, 0, 0, 0, 0, 0, 68], 0, 1));
    told(link, advertisement(600, [5, 1, 0, 0, 0, 0, 255, 255], 0, 0));
    expect([link.on.hopLimit, link.on.linkMtu]).toEqual([64, 1500]);
  });

  test("RFC 4191: the preferred router first, and a more specific route before all", () => {
    const link = setup();
    const low = 0x18;
    const high = 0x08;
    told(link, advertisement(600, [], low), "fe80::a");
    told(link, advertisement(600, [], high), "fe80::b");
    told(link, advertisement(600, [24, 2, 32, 0, 0, 0, 1, 44, ...bytesOf("2001:db8::").slice(0, 8)]), "fe80::c");
    expect(link.on.routes.defaultRouters.map(String)).toEqual(["fe80::b", "fe80::c", "fe80::a"]);
    expect(link.on.routes.find(IpAddress.parse(far))?.gateway?.toString()).toBe("fe80::c");
    expect(link.on.routes.find(IpAddress.parse("2001:db9::1"))?.gateway?.toString()).toBe("fe80::b");
  });

  test("§6.3.6, §7.3.3: a router that does not answer is left for one that does", () => {
    const link = setup();
    told(link, advertisement(600, withPrefix), "fe80::a");
    told(link, advertisement(600, withPrefix), "fe80::b");
    link.pass(3000);
    link.heard();
    send(link, far);
    link.pass(5000);
    expect(link.on.routes.defaultRouters.map(String)).toEqual(["fe80::b", "fe80::a"]);
    link.heard();
    send(link, far);
    expect(link.heard()).toEqual([expect.stringContaining("who-has fe80::b")]);
    // The first one again, once it is heard of.
    told(link, advertisement(600), "fe80::a");
    expect(link.on.routes.defaultRouters.map(String)).toEqual(["fe80::a", "fe80::b"]);
  });

  test("a flood of routers, prefixes and routes stays within its bounds, and those known first stay", () => {
    const link = setup();
    told(link, advertisement(600, withPrefix));
    for (let index = 0; index < 500; index++) {
      const hex = (index + 0x100).toString(16);
      told(
        link,
        advertisement(600, [
          ...prefixOption(`2001:db8:${hex}::/64`, "LA", 3600, 3600),
          ...[24, 2, 48, 0, 0, 0, 1, 44, ...bytesOf(`fd99:${hex}::`).slice(0, 8)],
        ]),
        `fe80::${hex}`,
      );
    }
    link.pass(5000);
    const count = (origin: string): number => link.on.routes.all.filter((each) => each.origin === origin).length;
    expect([count("router"), count("prefix"), count("route")]).toEqual([8, 16, 16]);
    expect(link.on.book.entries.length).toBeLessThanOrEqual(16);
    expect(link.on.routes.defaultRouters.map(String)).toContain(peer);
    expect(link.on.routes.isOnLink(IpAddress.parse("fd00:5::1"))).toBe(true);
  });
});

describe("RFC 4861 §8: redirects", () => {
  const far = "2001:db8::1";
  const redirected = (target: string, destination = far): number[] => [
    ...[0, 0, 0, 0],
    ...bytesOf(target),
    ...bytesOf(destination),
    ...[2, 1, ...macBytes(peerMac)],
  ];
  const setup = (redirects: boolean): LinkPeer => {
    const link = new LinkPeer({ identifiers: "eui64", redirects });
    link.on.autoconfigure();
    link.pass(20_000);
    link.icmp6("fe80::a", "ff02::1", 134, 0, advertisement(600));
    link.heard();
    return link;
  };
  const gateway = (link: LinkPeer): string | undefined =>
    link.on.routes.find(IpAddress.parse(far))?.gateway?.toString();

  test("are passed over unless they are asked for", () => {
    const link = setup(false);
    link.icmp6("fe80::a", "ff02::1", 137, 0, redirected("fe80::b"));
    expect(gateway(link)).toBe("fe80::a");
    expect(link.on.ndp.statistics.redirectsIgnored).toBe(1);
  });

  test("§8.3: of the router in use they are followed, for that destination alone", () => {
    const link = setup(true);
    link.icmp6("fe80::a", "ff02::1", 137, 0, redirected("fe80::b"));
    expect(gateway(link)).toBe("fe80::b");
    expect(link.on.routes.find(IpAddress.parse("2001:db8::2"))?.gateway?.toString()).toBe("fe80::a");
    // The target is the destination: it is on the link.
    const neighbour = "2001:db8::5";
    link.icmp6("fe80::a", "ff02::1", 137, 0, redirected(neighbour, neighbour));
    expect(link.on.routes.find(IpAddress.parse(neighbour))?.gateway).toBeUndefined();
  });

  test("§8.1: not of others, not to addresses that are not of the link, not about groups", () => {
    const link = setup(true);
    link.icmp6("fe80::c", "ff02::1", 137, 0, redirected("fe80::b"));
    link.icmp6("fe80::a", "ff02::1", 137, 0, redirected("2001:db8::9"));
    link.icmp6("fe80::a", "ff02::1", 137, 0, redirected("fe80::b", "ff0e::1"));
    link.icmp6("fe80::a", "ff02::1", 137, 0, redirected("fe80::b"), { hopLimit: 64 });
    link.icmp6("fd00::a", "ff02::1", 137, 0, redirected("fe80::b"));
    expect(gateway(link)).toBe("fe80::a");
  });

  test("are bounded, the newest stay", () => {
    const link = setup(true);
    for (let index = 0; index < 200; index++) {
      link.icmp6("fe80::a", "ff02::1", 137, 0, redirected("fe80::b", `2001:db8::${(index + 1).toString(16)}`));
    }
    const left = link.on.routes.all.filter(({ origin }) => origin === "redirect");
    expect(left).toHaveLength(32);
    expect(left.at(-1)?.prefix.toString()).toBe("2001:db8::c8/128");
  });
});
