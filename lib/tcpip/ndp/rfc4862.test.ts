import { IpAddress, MacAddress, Prefix } from "@tesserae/device/address";
import { SeededRandom } from "@tesserae/conformance/seeded-random";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { advertisement, bytesOf, LinkPeer, peer, prefixOption, word } from "../ipv6/link-peer.ts";
import {
  isReserved,
  linkLocalPrefix,
  modifiedEui64,
  randomIdentifiers,
  stablePrivacy,
} from "./interface-identifier.ts";
import { renewedValidUntil } from "./slaac.ts";

const linkLocal = "fe80::ff:fe00:1";
const hour = 3_600_000;

function told(link: LinkPeer, ...options: number[][]): void {
  link.icmp6(peer, "ff02::1", 134, 0, advertisement(1800, options.flat()));
}

describe("RFC 4862 §5.4: duplicate address detection", () => {
  test("§5.4.2: one question from the unspecified address, then a second, then the address is ours", async () => {
    const link = new LinkPeer({ identifiers: "eui64" });
    const started = link.on.start(true);
    const heard: string[] = [];
    let asked = 0;
    while (link.ip.addresses.length === 0) {
      link.pass(10);
      for (const line of link.heard()) {
        if (line.includes("who-has")) asked = link.clock.now();
        heard.push(line);
      }
    }
    expect(heard).toContain(`:: > ff02::1:ff00:1 who-has ${linkLocal} nonce`);
    // Switches that listen in have to know of the group first (RFC 4862 §5.4.2).
    expect(heard[0]).toBe(":: > ff02::16 mldv2-report to-ex ff02::1:ff00:1 alert hop-limit=1");
    expect(link.clock.now() - asked).toBe(1000);
    expect(asked).toBeLessThanOrEqual(1010);
    expect(await started).toBe(true);
  });

  test.each<[string, (link: LinkPeer) => void]>([
    ["§5.4.4: who has it says so", (link) => link.advertise(linkLocal, "ff02::1", linkLocal, "O")],
    ["§5.4.3: somebody else asks for it, too", (link) => link.solicit("::", "ff02::1:ff00:1", linkLocal)],
    [
      "RFC 7527 §4.2: and with a nonce of his own",
      (link) => link.solicit("::", "ff02::1:ff00:1", linkLocal, [14, 1, 1, 2, 3, 4, 5, 6]),
    ],
  ])("%s: the address is not ours", async (_, act) => {
    const conflicts: string[] = [];
    const link = new LinkPeer({ identifiers: "eui64", onConflict: (address) => conflicts.push(address.toString()) });
    const started = link.on.start(true);
    link.pass(1000);
    if (_.startsWith("RFC")) {
      link.icmp6("::", "ff02::1:ff00:1", 135, 0, [0, 0, 0, 0, ...bytesOf(linkLocal), 14, 1, 1, 2, 3, 4, 5, 6]);
    } else act(link);
    expect(await started).toBe(false);
    link.pass(5000);
    expect(link.ip.addresses).toEqual([]);
    expect(conflicts).toEqual([linkLocal]);
  });

  test("RFC 7527: our own question come back on a loop is no conflict", async () => {
    const link = new LinkPeer({ identifiers: "eui64" });
    const started = link.on.start(true);
    for (let step = 0; step < 30; step++) {
      link.pass(100);
      for (const frame of link.frames()) {
        if (frame[54] !== 135) continue;
        link.say("::", "ff02::1:ff00:1", frame.slice(54));
      }
    }
    expect(await started).toBe(true);
  });

  test("RFC 7217 §5: with stable identifiers another address is tried, three times in all", async () => {
    const link = new LinkPeer();
    const started = link.on.start(true);
    const tried = new Set<string>();
    for (let step = 0; step < 100; step++) {
      link.pass(100);
      for (const line of link.heard()) {
        const match = /who-has (\S+) nonce/.exec(line);
        if (match?.[1] === undefined) continue;
        tried.add(match[1]);
        link.advertise(match[1], "ff02::1", match[1], "O");
      }
      await Promise.resolve();
    }
    expect(await started).toBe(false);
    expect(tried.size).toBe(3);
  });

  test("a tentative address neither answers nor receives", () => {
    const link = new LinkPeer({ identifiers: "eui64" });
    void link.on.start(true);
    link.pass(1100);
    link.heard();
    link.solicit("fe80::2", "ff02::1:ff00:1", linkLocal);
    link.icmp6("fe80::2", linkLocal, 128, 0, word(1));
    expect(link.heard()).toEqual([]);
  });

  test("RFC 9131: routers are told of a new address", async () => {
    const link = new LinkPeer({ identifiers: "eui64" });
    await link.on.add(Prefix.parse("fd00::1/64"));
    link.pass(0);
    expect(link.heard()).toContain("fd00::1 > ff02::2 is-at fd00::1 mac");
  });
});

describe("RFC 4862 §5.5: addresses from what routers tell", () => {
  const setup = (options: ConstructorParameters<typeof LinkPeer>[0] = {}, temporary = false): LinkPeer => {
    const link = new LinkPeer({ identifiers: "eui64", ...options });
    link.on.autoconfigure({ temporary });
    link.pass(20_000);
    return link;
  };
  const globals = (link: LinkPeer): string[] =>
    link.ip.addresses.map(String).filter((each) => !each.startsWith("fe80"));

  test("§5.5.3: a prefix of 64 bits with the flag A makes an address, which is looked for first", () => {
    const link = setup();
    told(link, prefixOption("2001:db8:1::/64", "LA", 7200, 3600));
    expect(globals(link)).toEqual([]);
    link.pass(2100);
    expect(globals(link)).toEqual(["2001:db8:1::ff:fe00:1"]);
  });

  test.each([
    ["without the flag A", prefixOption("2001:db8:1::/64", "L", 7200, 3600)],
    ["link-local", prefixOption("fe80::/64", "LA", 7200, 3600)],
    ["of another length", prefixOption("2001:db8:1::/56", "LA", 7200, 3600)],
    ["with a preferred lifetime beyond the valid one", prefixOption("2001:db8:1::/64", "LA", 3600, 7200)],
    ["that ends at once", prefixOption("2001:db8:1::/64", "LA", 0, 0)],
    ["of a group", prefixOption("ff0e::/64", "LA", 7200, 3600)],
    ["whose option is cut short", [3, 3, ...prefixOption("2001:db8:1::/64", "LA", 7200, 3600).slice(2, 24)]],
  ])("§5.5.3: not a prefix %s", (_, option) => {
    const link = setup();
    told(link, option);
    link.pass(5000);
    expect(globals(link)).toEqual([]);
  });

  test("§5.5.4: deprecated after its preferred lifetime, gone after its valid one", () => {
    const link = setup();
    told(link, prefixOption("2001:db8:1::/64", "LA", 7200, 3600));
    told(link, prefixOption("2001:db8:2::/64", "LA", 86_400, 86_400));
    link.pass(2100);
    const first = "2001:db8:1::ff:fe00:1";
    const peerIn1 = IpAddress.parse("2001:db8:1::99");
    expect(link.ip.source(peerIn1)?.toString()).toBe(first);
    link.pass(hour);
    // RFC 6724 rule 3: the other one, though less of it matches.
    expect(link.ip.source(peerIn1)?.toString()).toBe("2001:db8:2::ff:fe00:1");
    expect(globals(link)).toContain(first);
    link.pass(hour);
    expect(globals(link)).toEqual(["2001:db8:2::ff:fe00:1"]);
  });

  test("§5.5.3 e: nobody ends an address sooner than in two hours", () => {
    expect(renewedValidUntil(0, 10 * hour, hour)).toBe(2 * hour);
    expect(renewedValidUntil(0, hour, 1000)).toBe(hour);
    expect(renewedValidUntil(0, 10 * hour, 3 * hour)).toBe(3 * hour);
    expect(renewedValidUntil(0, hour, 1.5 * hour)).toBe(1.5 * hour);
    expect(renewedValidUntil(0, 10 * hour, Infinity)).toBe(Infinity);
    fc.assert(
      fc.property(fc.nat(2 ** 40), fc.nat(2 ** 40), fc.nat(2 ** 40), (now, left, lifetime) => {
        const until = renewedValidUntil(now, now + left, lifetime);
        expect(until).toBeGreaterThanOrEqual(now + Math.min(left, 2 * hour));
        expect(until).toBeLessThanOrEqual(now + Math.max(lifetime, left, 2 * hour));
      }),
    );
    const link = setup();
    told(link, prefixOption("2001:db8:1::/64", "LA", 86_400, 86_400));
    link.pass(2100);
    told(link, prefixOption("2001:db8:1::/64", "LA", 0, 0));
    link.pass(2 * hour - 1000);
    expect(globals(link)).toHaveLength(1);
    link.pass(1000);
    expect(globals(link)).toEqual([]);
  });

  test("RFC 8981: a temporary address beside the stable one, preferred, renewed in time", () => {
    const link = setup({}, true);
    // Told again and again, as routers do.
    const day = (): void => {
      for (let quarter = 0; quarter < 96; quarter++) {
        told(link, prefixOption("2001:db8:1::/64", "LA", 2_592_000, 604_800));
        link.pass(hour / 4);
      }
    };
    day();
    const temporary = (): string[] =>
      link.on.book.assigned.filter((each) => each.temporary).map((each) => each.address.toString());
    expect(globals(link).length).toBeGreaterThan(1);
    const first = temporary();
    const source = link.ip.source(IpAddress.parse("2001:db8:1::99"))?.toString();
    expect(temporary()).toContain(source);
    for (let count = 0; count < 5; count++) day();
    // Two days later none of the first is left, and there are never many.
    expect(temporary().filter((each) => first.includes(each))).toEqual([]);
    expect(temporary().length).toBeLessThanOrEqual(4);
    const later = link.ip.source(IpAddress.parse("2001:db8:1::99"))?.toString();
    expect(temporary()).toContain(later);
    expect(later).not.toBe(source);
  });

  test("RFC 8106: name servers and domains, each for its time", () => {
    const link = setup();
    const servers = [25, 5, 0, 0, ...word(100), ...bytesOf("fd00::53"), ...bytesOf("fd00::54")];
    const names = [4, 116, 101, 115, 116, 0, 1, 97, 4, 116, 101, 115, 116, 0];
    const search = [31, 4, 0, 0, ...word(50), ...names, ...new Array<number>(10).fill(0)];
    told(link, servers, search);
    expect(link.ip.nameServers.map(String)).toEqual(["fd00::53", "fd00::54"]);
    expect(link.on.ndp.told.search).toEqual(["test", "a.test"]);
    link.pass(50_000);
    expect(link.on.ndp.told.search).toEqual([]);
    told(link, [25, 3, 0, 0, ...word(0), ...bytesOf("fd00::53")]);
    expect(link.ip.nameServers.map(String)).toEqual(["fd00::54"]);
    link.pass(50_000);
    expect(link.ip.nameServers).toEqual([]);
  });
});

describe("interface identifiers", () => {
  const mac = MacAddress.parse("02:00:00:aa:bb:cc");

  test("RFC 4291 appendix A: the modified EUI-64", () => {
    expect(modifiedEui64(mac).address(linkLocalPrefix, 0).toString()).toBe("fe80::ff:feaa:bbcc");
  });

  test("RFC 7217: the same for one prefix and secret, others for others, none reserved", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 16, maxLength: 16 }),
        fc.nat(2 ** 31 - 1),
        fc.nat(3),
        (secret, net, count) => {
          const prefix = new IpAddress(6, 0x20010db8, net, 0, 0);
          const made = stablePrivacy(secret, mac).address(prefix, count);
          expect(made.equals(stablePrivacy(secret, mac).address(prefix, count))).toBe(true);
          expect([made.w0, made.w1]).toEqual([prefix.w0, prefix.w1]);
          expect(isReserved(made)).toBe(false);
          const others = [
            stablePrivacy(secret, mac).address(new IpAddress(6, 0x20010db8, net ^ 1, 0, 0), count),
            stablePrivacy(secret, mac).address(prefix, count + 1),
            stablePrivacy(secret, MacAddress.parse("02:00:00:aa:bb:cd")).address(prefix, count),
          ];
          for (const other of others) expect(other.w2 === made.w2 && other.w3 === made.w3).toBe(false);
        },
      ),
    );
  });

  test("RFC 5453: reserved ones", () => {
    for (const text of ["fd00::", "fd00::200:5eff:fe00:0", "fd00::200:5eff:fe00:5212", "fd00::fdff:ffff:ffff:ff80"]) {
      expect(isReserved(IpAddress.parse(text))).toBe(true);
    }
    expect(isReserved(IpAddress.parse("fd00::200:5eff:fe00:5213"))).toBe(false);
    expect(isReserved(IpAddress.parse("fd00::1"))).toBe(false);
    const random = randomIdentifiers(new SeededRandom(3));
    expect(random.address(linkLocalPrefix, 0).equals(random.address(linkLocalPrefix, 0))).toBe(false);
  });
});
