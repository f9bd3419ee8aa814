import { IpAddress, Prefix } from "@tesserae/device/address";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bytesOf, icmp6Message, LinkPeer, peer } from "../ipv6/link-peer.ts";
import { responseTime } from "./wire.ts";

const group = "ff02::fb";
const own = "fe80::ff:fe00:1";

/** A router alert in front of an MLD message, as a packet's payload. */
function query(link: LinkPeer, about: string, code: number, version: 1 | 2 = 2, hopLimit = 1, source = peer): void {
  const body = [code >>> 8, code & 255, 0, 0, ...bytesOf(about), ...(version === 2 ? [2, 125, 0, 0] : [])];
  const message = icmp6Message(source, about === "::" ? "ff02::1" : about, 130, 0, body);
  link.say(source, about === "::" ? "ff02::1" : about, [58, 0, 5, 2, 0, 0, 1, 0, ...message], { next: 0, hopLimit });
}

async function host(): Promise<LinkPeer> {
  const link = new LinkPeer({ identifiers: "eui64" });
  await link.on.add(Prefix.parse("fd00::1/64"));
  link.pass(10_000);
  link.heard();
  return link;
}

const report = (record: string, ...groups: string[]): string =>
  `${own} > ff02::16 mldv2-report ${groups.map((each) => `${record} ${each}`).join(", ")} alert hop-limit=1`;

describe("RFC 3810", () => {
  test("§6.1: joining is told at once and once more within a second, leaving likewise", async () => {
    const link = await host();
    const index = link.ip.join(IpAddress.parse(group));
    expect(index).toBe(1);
    link.pass(1000);
    expect(link.heard()).toEqual([report("to-ex", group), report("to-ex", group)]);
    link.ip.leave(IpAddress.parse(group), index);
    link.pass(1000);
    expect(link.heard()).toEqual([report("to-in", group), report("to-in", group)]);
    link.pass(60_000);
    expect(link.heard()).toEqual([]);
  });

  test("joins are counted: only the first and the last are told", async () => {
    const link = await host();
    const address = IpAddress.parse(group);
    link.ip.join(address);
    link.ip.join(address);
    link.pass(2000);
    link.heard();
    link.ip.leave(address, 1);
    link.pass(2000);
    expect(link.heard()).toEqual([]);
    link.ip.leave(address, 1);
    link.ip.leave(address, 1);
    link.pass(2000);
    expect(link.heard()).toHaveLength(2);
  });

  test("§6.2: a general query is answered with all groups, within the time it says", async () => {
    const link = await host();
    link.ip.join(IpAddress.parse(group));
    link.pass(2000);
    link.heard();
    query(link, "::", 2000);
    link.pass(2000);
    expect(link.heard()).toEqual([report("is-ex", "ff02::1:ff00:1", group)]);
  });

  test("§6.2: a query for one group is answered by those in it", async () => {
    const link = await host();
    link.ip.join(IpAddress.parse(group));
    link.pass(2000);
    link.heard();
    query(link, group, 500);
    query(link, "ff02::77", 500);
    link.pass(500);
    expect(link.heard()).toEqual([report("is-ex", group)]);
  });

  test.each<[string, (link: LinkPeer) => void]>([
    ["from beyond the link", (link) => query(link, "::", 100, 2, 64)],
    ["from an address that is not link-local", (link) => query(link, "::", 100, 2, 1, "fd00::99")],
    [
      "without a router alert",
      (link) => link.icmp6(peer, "ff02::1", 130, 0, [0, 100, 0, 0, ...bytesOf("::"), 2, 125, 0, 0], { hopLimit: 1 }),
    ],
    [
      "cut short",
      (link) =>
        link.say(peer, "ff02::1", [58, 0, 5, 2, 0, 0, 1, 0, ...icmp6Message(peer, "ff02::1", 130, 0, [0, 1, 0, 0])], {
          next: 0,
          hopLimit: 1,
        }),
    ],
  ])("§6.2: a query %s is void", async (_, act) => {
    const link = await host();
    act(link);
    link.pass(2000);
    expect(link.heard()).toEqual([]);
    expect(link.on.groups.statistics.invalid).toBe(1);
  });

  test("§8.2.1: a querier of version 1 is answered in its words, for a while", async () => {
    const link = await host();
    query(link, "::", 1000, 1);
    link.pass(1000);
    expect(link.heard()).toEqual([`${own} > ff02::1:ff00:1 mldv1-report ff02::1:ff00:1 alert hop-limit=1`]);
    link.ip.join(IpAddress.parse(group));
    link.pass(1000);
    link.ip.leave(IpAddress.parse(group), 1);
    link.pass(1000);
    expect(link.heard()).toContain(`${own} > ff02::2 mldv1-done ${group} alert hop-limit=1`);
    link.pass(300_000);
    query(link, "::", 1000);
    link.pass(1000);
    expect(link.heard()).toEqual([report("is-ex", "ff02::1:ff00:1")]);
  });

  test("§5.1.3: the maximum response code", () => {
    expect(responseTime(10_000)).toBe(10_000);
    expect(responseTime(0x8000)).toBe(32_768);
    expect(responseTime(0xffff)).toBe(8_387_584);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 65_534 }), (code) => {
        expect(responseTime(code)).toBeLessThan(responseTime(code + 1));
      }),
    );
  });

  test("packets to groups come up for members alone, and what we send to one we are in comes back", async () => {
    const link = await host();
    const got: string[] = [];
    link.ip.listen(253, ({ source, destination }) => got.push(`${source.toString()} > ${destination.toString()}`));
    link.say(peer, group, [1], { next: 253 });
    expect(got).toEqual([]);
    link.ip.join(IpAddress.parse(group));
    link.say(peer, group, [1], { next: 253 });
    const page = link.ip.allocate()!;
    expect(link.ip.send(IpAddress.parse(group), 253, page, 128, 4)).toBe(true);
    link.pass(0);
    expect(got).toEqual([`${peer} > ${group}`, `${own} > ${group}`]);
  });

  test("there is room for 48 groups, and for those of our own addresses", async () => {
    const link = await host();
    const joined = Array.from({ length: 100 }, (_, index) =>
      link.ip.join(IpAddress.parse(`ff02::9:${(index + 1).toString(16)}`)),
    );
    expect(joined.filter((index) => index === 1)).toHaveLength(47);
    expect(await link.on.add(Prefix.parse("fd00::2:2/64"))).toBe(true);
    link.heard();
    query(link, "::", 100);
    link.pass(100);
    // More than fit one report.
    const answers = link.heard().filter((line) => line.includes("is-ex"));
    expect(answers.map((line) => line.split("is-ex").length - 1)).toEqual([48, 1]);
  });

  test("a group that is none throws", async () => {
    const link = await host();
    expect(() => link.ip.join(IpAddress.parse("fd00::1"))).toThrow("group fd00::1 is not an IPv6 multicast address");
    expect(link.ip.join(IpAddress.parse(group), 7)).toBe(0);
  });
});
