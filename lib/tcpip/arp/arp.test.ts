import { IpAddress, MacAddress, Prefix } from "@tesserae/device/address";
import { ArpTimeoutError } from "@tesserae/device/arp";
import { headroom } from "@tesserae/device/page";
import { FramePeer } from "@tesserae/conformance/frame-peer";
import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { createLink } from "@tesserae/netif/link";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { describe, expect, test } from "vitest";
import { createEthernet } from "../ethernet/ethernet.ts";
import { type ArpOptions, createArp } from "./arp.ts";
import { arp as layout, arpReply, arpRequest } from "./wire.ts";

const us = IpAddress.parse("10.0.0.1");
const ours = MacAddress.parse("02:00:00:00:00:01");
const peerIp = IpAddress.parse("10.0.0.2");
const peerMac = MacAddress.parse("02:00:00:00:00:02");
const otherMac = MacAddress.parse("02:00:00:00:00:66");
const zero = IpAddress.any4;

function message(
  operation: number,
  senderMac: MacAddress,
  senderIp: IpAddress,
  targetMac: MacAddress,
  targetIp: IpAddress,
) {
  const frame = new Uint8Array(60);
  (operation === arpReply ? targetMac : MacAddress.broadcast).write(frame, 0);
  senderMac.write(frame, 6);
  frame.set([0x08, 0x06], 12);
  const fixed = { hardwareType: 1, protocolType: 0x0800, hardwareSize: 6, protocolSize: 4 };
  layout.emit({ ...fixed, operation, senderMac, senderIp, targetMac, targetIp }, frame, 14);
  return frame;
}

/** `request 10.0.0.1 asks 10.0.0.2 to ff:…`, in short. */
function describeFrame(frame: Uint8Array): string {
  const parsed = layout.parse(frame, 14);
  if (!parsed.ok || frame[12] !== 8 || frame[13] !== 6)
    return `ip ${frame.length} to ${MacAddress.read(frame, 0).toString()}`;
  const { operation, senderIp, targetIp } = parsed.value;
  const to = MacAddress.read(frame, 0);
  const whom = to.equals(MacAddress.broadcast) ? "all" : to.toString();
  return `${operation === 1 ? "who-has" : "is-at"} ${senderIp.toString()} ${targetIp.toString()} to ${whom}`;
}

function setup(options: Partial<ArpOptions> = {}, claimed = true) {
  const clock = new VirtualClock();
  const timers = new Scheduler(clock);
  const link = createLink({ timers, pages: 200 });
  const peer = new FramePeer(link.b);
  const ethernet = createEthernet({ netif: link.a });
  const arp = createArp({ ethernet, timers, random: new SeededRandom(1), ...options });
  arp.configureLink(Prefix.parse("10.0.0.1/24"));
  const advance = (ms: number): void => {
    const end = clock.now() + ms;
    for (let next = timers.nextDeadline(); next <= end; next = timers.nextDeadline()) {
      clock.advanceTo(Math.max(next, clock.now()));
      timers.run();
    }
    clock.advanceTo(end);
  };
  /** What the peer heard since the last time. */
  const heard = (): string[] => {
    advance(0);
    return peer.take().map(describeFrame);
  };
  const send = (...frame: Parameters<typeof message>): void => {
    peer.send(message(...frame));
    advance(0);
  };
  const packet = (to: IpAddress, length = 100): boolean => arp.sendIpv4(to.w3, ethernet.allocate()!, headroom, length);
  if (claimed) {
    void arp.claim(us, { probe: false });
    advance(2000);
    peer.take();
  }
  return { clock, timers, link, peer, arp, advance, heard, send, packet };
}

/** A neighbour that has answered us. */
function acquainted(options: Partial<ArpOptions> = {}) {
  const world = setup(options);
  world.packet(peerIp);
  world.send(arpReply, peerMac, peerIp, ours, us);
  world.heard();
  // Beyond the time in which contradictions are ignored.
  world.advance(6000);
  return world;
}

describe("RFC 826", () => {
  test("a packet waits for the answer, and follows it", () => {
    const { arp, heard, packet, send } = setup();
    expect(packet(peerIp)).toBe(true);
    expect(heard()).toEqual(["who-has 10.0.0.1 10.0.0.2 to all"]);
    expect(packet(peerIp, 200)).toBe(true);
    expect(heard()).toEqual([]);
    send(arpReply, peerMac, peerIp, ours, us);
    expect(heard()).toEqual(["ip 114 to 02:00:00:00:00:02", "ip 214 to 02:00:00:00:00:02"]);
    expect(arp.lookup(peerIp)?.toString()).toBe(peerMac.toString());
    expect(packet(peerIp, 50)).toBe(true);
    expect(heard()).toEqual(["ip 64 to 02:00:00:00:00:02"]);
  });

  test("requests for our address are answered to whoever asked, and the asker is noted", () => {
    const { arp, heard, send, packet } = setup();
    send(arpRequest, peerMac, peerIp, MacAddress.zero, us);
    expect(heard()).toEqual(["is-at 10.0.0.1 10.0.0.2 to 02:00:00:00:00:02"]);
    expect(arp.lookup(peerIp)?.equals(peerMac)).toBe(true);
    // Used at once, and asked whether it is true.
    packet(peerIp);
    expect(heard()).toEqual(["who-has 10.0.0.1 10.0.0.2 to 02:00:00:00:00:02", "ip 114 to 02:00:00:00:00:02"]);
  });

  test("requests for others' addresses are not answered, and not noted", () => {
    const { arp, heard, send } = setup();
    send(arpRequest, peerMac, peerIp, MacAddress.zero, IpAddress.parse("10.0.0.77"));
    expect(heard()).toEqual([]);
    expect(arp.lookup(peerIp)).toBeUndefined();
    expect(arp.cache.size).toBe(0);
  });

  test("queries share one question, and fail when nobody answers three of them", async () => {
    const { arp, advance, heard, clock } = setup();
    const start = clock.now();
    const first = arp.query(peerIp);
    const second = arp.query(peerIp);
    const settled = Promise.allSettled([first, second]);
    advance(2999);
    expect(heard()).toHaveLength(3);
    advance(1);
    for (const result of await settled) {
      expect(result).toMatchObject({ status: "rejected", reason: new ArpTimeoutError(peerIp) });
    }
    // RFC 1122 §2.3.2.1: not asked again at once.
    await expect(arp.query(peerIp)).rejects.toThrow(ArpTimeoutError);
    expect(heard()).toEqual([]);
    advance(1000);
    const again = arp.query(peerIp);
    expect(heard()).toHaveLength(1);
    arp.close();
    await expect(again).rejects.toThrow(ArpTimeoutError);
    expect(clock.now() - start).toBe(4000);
  });

  test("packets for a neighbour that does not answer are handed back to be reported", () => {
    const { arp, advance, packet } = setup();
    const reported: number[] = [];
    arp.listenUnreachable((_page, _offset, length) => reported.push(length));
    packet(peerIp, 100);
    packet(peerIp, 101);
    advance(3000);
    expect(reported).toEqual([100, 101]);
    expect(packet(peerIp, 102)).toBe(false);
    // Not from inside the call.
    expect(reported).toEqual([100, 101]);
    advance(0);
    expect(reported).toEqual([100, 101, 102]);
  });

  test("a packet that makes room for another is reported too, but not from inside the call", () => {
    const { arp, advance, packet, link } = setup({ capacity: 8 });
    const reported: number[] = [];
    arp.listenUnreachable((_page, _offset, length) => reported.push(length));
    for (let host = 3; host < 6; host++) packet(IpAddress.v4(0x0a000000 + host), 100 + host);
    expect(reported).toEqual([]);
    advance(0);
    expect(reported).toEqual([103]);
    arp.close();
    let pages = 0;
    while (link.a.allocate() !== undefined) pages++;
    expect(pages).toBe(200);
  });

  test("who is told that a neighbour does not answer may send to it again, or close everything", () => {
    const { arp, advance, packet, timers, link } = setup();
    let calls = 0;
    arp.listenUnreachable(() => {
      if (++calls < 5) expect(packet(peerIp)).toBe(false);
      else arp.close();
    });
    packet(peerIp);
    packet(peerIp);
    advance(3000);
    expect(calls).toBe(5);
    expect(timers.nextDeadline()).toBe(Infinity);
    let pages = 0;
    while (link.a.allocate() !== undefined) pages++;
    expect(pages).toBe(200);
  });

  test("an answer is believed for a while, then confirmed with the neighbour alone", () => {
    const { advance, heard, packet, send, arp } = acquainted();
    advance(45_000);
    expect(heard()).toEqual([]);
    packet(peerIp);
    expect(heard()).toEqual(["who-has 10.0.0.1 10.0.0.2 to 02:00:00:00:00:02", "ip 114 to 02:00:00:00:00:02"]);
    send(arpReply, peerMac, peerIp, ours, us);
    expect(arp.cache.get(peerIp.w3)?.state).toBe("reachable");
  });

  test("a neighbour that has gone is asked for again from all, and its successor found", () => {
    const { advance, heard, packet, send, arp } = acquainted();
    advance(45_000);
    packet(peerIp);
    advance(2000);
    expect(heard().filter((text) => text.startsWith("who-has"))).toEqual([
      "who-has 10.0.0.1 10.0.0.2 to 02:00:00:00:00:02",
      "who-has 10.0.0.1 10.0.0.2 to 02:00:00:00:00:02",
      "who-has 10.0.0.1 10.0.0.2 to all",
    ]);
    send(arpReply, otherMac, peerIp, ours, us);
    expect(arp.lookup(peerIp)?.equals(otherMac)).toBe(true);
  });
});

describe("poisoning", () => {
  test("an answer that nobody asked for makes no entry", () => {
    const { arp, send } = setup();
    send(arpReply, otherMac, peerIp, ours, us);
    expect(arp.cache.size).toBe(0);
    expect(arp.statistics.unsolicited).toBe(1);
  });

  test("an announcement makes no entry", () => {
    const { arp, send } = setup();
    send(arpRequest, otherMac, peerIp, MacAddress.zero, peerIp);
    expect(arp.cache.size).toBe(0);
  });

  test.each<[string, number, MacAddress, IpAddress]>([
    ["an unasked answer", arpReply, ours, us],
    ["an announcement", arpRequest, MacAddress.zero, peerIp],
    ["a request", arpRequest, MacAddress.zero, us],
  ])(
    "%s does not replace a neighbour: that one is asked, and stays when it answers",
    (_, operation, targetMac, target) => {
      const { arp, heard, send, advance } = acquainted();
      send(operation, otherMac, peerIp, targetMac, target);
      expect(heard()).toContain("who-has 10.0.0.1 10.0.0.2 to 02:00:00:00:00:02");
      expect(arp.lookup(peerIp)?.equals(peerMac)).toBe(true);
      // The forger goes on meanwhile.
      send(arpReply, otherMac, peerIp, ours, us);
      send(arpReply, peerMac, peerIp, ours, us);
      send(arpReply, otherMac, peerIp, ours, us);
      advance(4000);
      expect(arp.lookup(peerIp)?.equals(peerMac)).toBe(true);
      expect(heard()).not.toContain("who-has 10.0.0.1 10.0.0.2 to all");
    },
  );

  test("a neighbour that has really moved is followed", () => {
    const { arp, send, advance } = acquainted();
    send(arpRequest, otherMac, peerIp, MacAddress.zero, peerIp);
    advance(2000);
    send(arpReply, otherMac, peerIp, ours, us);
    expect(arp.lookup(peerIp)?.equals(otherMac)).toBe(true);
  });

  test("strangers that ask from thousands of addresses push out none that answered us", () => {
    const { arp, send } = acquainted({ capacity: 64 });
    for (let host = 3; host < 250; host++) {
      send(arpRequest, new MacAddress(0x0200, host), IpAddress.v4(0x0a000000 + host), MacAddress.zero, us);
    }
    expect(arp.cache.size).toBeLessThanOrEqual(64 / 4 + 1);
    expect(arp.lookup(peerIp)?.equals(peerMac)).toBe(true);
    expect(arp.statistics.repliesSuppressed).toBeGreaterThan(0);
  });

  test("requests from outside of the link are answered but not noted", () => {
    const { arp, send } = setup();
    send(arpRequest, otherMac, IpAddress.parse("192.0.2.1"), MacAddress.zero, us);
    expect(arp.statistics.repliesSent).toBe(1);
    expect(arp.cache.size).toBe(0);
  });

  test("packets to thousands of absent hosts hold a bounded number of pages", () => {
    const { arp, packet, link, advance } = setup();
    for (let host = 3; host < 250; host++) {
      packet(IpAddress.v4(0x0a000000 + host));
      advance(0);
    }
    // A quarter of the table is for questions.
    expect(arp.cache.size).toBe(128);
    expect(arp.statistics.waitingDropped).toBe(247 - 64);
    const pages: unknown[] = [];
    for (let page = link.a.allocate(); page !== undefined; page = link.a.allocate()) pages.push(page);
    expect(pages).toHaveLength(200 - 64);
    arp.close();
    expect(link.a.allocate()).toBeDefined();
  });

  test.each<[string, (frame: Uint8Array) => void]>([
    ["another hardware type", (frame) => (frame[15] = 6)],
    ["another protocol", (frame) => (frame[16] = 0x86)],
    ["another size of addresses", (frame) => (frame[19] = 16)],
    ["an unknown operation", (frame) => (frame[21] = 3)],
    ["a group as its sender", (frame) => (frame[22] = 0x03)],
  ])("%s is ignored", (_, change) => {
    const { arp, peer, advance, heard } = setup();
    const frame = message(arpRequest, peerMac, peerIp, MacAddress.zero, us);
    change(frame);
    peer.send(frame);
    peer.send(frame.slice(0, 40));
    advance(0);
    expect(arp.statistics.malformed).toBe(2);
    expect(heard()).toEqual([]);
  });
});

describe("RFC 5227", () => {
  test("§2.1, §2.3: three probes without a sender, then two announcements two seconds apart", async () => {
    const { arp, advance, heard, clock } = setup({}, false);
    const claim = arp.claim(us);
    const times: [number, string][] = [];
    for (let step = 0; step < 120; step++) {
      advance(100);
      for (const text of heard()) times.push([clock.now(), text]);
    }
    expect(await claim).toBe(true);
    expect(times.map(([, text]) => text)).toEqual([
      ...Array<string>(3).fill("who-has 0.0.0.0 10.0.0.1 to all"),
      ...Array<string>(2).fill("who-has 10.0.0.1 10.0.0.1 to all"),
    ]);
    const at = times.map(([time]) => time);
    expect(at[0]!).toBeLessThanOrEqual(1100);
    for (const index of [1, 2]) {
      expect(at[index]! - at[index - 1]!).toBeGreaterThanOrEqual(900);
      expect(at[index]! - at[index - 1]!).toBeLessThanOrEqual(2100);
    }
    expect(at[3]! - at[2]!).toBe(2000);
    expect(at[4]! - at[3]!).toBe(2000);
  });

  test.each<[string, number, IpAddress, IpAddress]>([
    ["a host that has the address", arpReply, us, zero],
    ["a host that announces it", arpRequest, us, us],
    ["a host that probes for it too", arpRequest, zero, us],
  ])("§2.1.1: %s makes a claim fail", async (_, operation, sender, target) => {
    const { arp, advance, send, heard } = setup({}, false);
    const claim = arp.claim(us);
    advance(1500);
    send(operation, otherMac, sender, operation === arpReply ? ours : MacAddress.zero, target);
    expect(await claim).toBe(false);
    heard();
    advance(20_000);
    expect(heard()).toEqual([]);
    send(arpRequest, peerMac, peerIp, MacAddress.zero, us);
    expect(heard()).toEqual([]);
  });

  test("while it probes it does not answer for the address", () => {
    const { arp, advance, send, heard } = setup({}, false);
    void arp.claim(us);
    advance(1500);
    heard();
    send(arpRequest, peerMac, peerIp, MacAddress.zero, us);
    expect(heard().filter((text) => text.startsWith("is-at"))).toEqual([]);
  });

  test("§2.4: an address is defended, at most once in ten seconds, and kept", () => {
    const conflicts: string[] = [];
    const { send, heard, advance, arp } = setup({
      onConflict: (ip, mac) => conflicts.push(`${ip.toString()} ${mac.toString()}`),
    });
    for (let index = 0; index < 5; index++) send(arpRequest, otherMac, us, MacAddress.zero, us);
    expect(heard()).toEqual(["who-has 10.0.0.1 10.0.0.1 to all"]);
    advance(10_000);
    send(arpReply, otherMac, us, ours, us);
    expect(heard()).toEqual(["who-has 10.0.0.1 10.0.0.1 to all"]);
    expect(conflicts).toEqual(Array(2).fill("10.0.0.1 02:00:00:00:00:66"));
    expect(arp.statistics.conflicts).toBe(6);
    send(arpRequest, peerMac, peerIp, MacAddress.zero, us);
    expect(heard()).toEqual(["is-at 10.0.0.1 10.0.0.2 to 02:00:00:00:00:02"]);
  });

  test("§2.4 (b): one that is to be given up is defended once, and goes when that does not help in ten seconds", () => {
    const { send, heard, advance, arp } = setup();
    let lost = 0;
    void arp.claim(us, { onLost: () => lost++ });
    send(arpRequest, otherMac, us, MacAddress.zero, us);
    advance(10_000);
    send(arpRequest, otherMac, us, MacAddress.zero, us);
    expect(heard()).toEqual(Array(2).fill("who-has 10.0.0.1 10.0.0.1 to all"));
    expect(lost).toBe(0);
    advance(9999);
    send(arpReply, otherMac, us, ours, us);
    expect(lost).toBe(1);
    expect(heard()).toEqual([]);
    send(arpRequest, peerMac, peerIp, MacAddress.zero, us);
    expect(heard()).toEqual([]);
  });

  test("a probe of another host for our address is answered", () => {
    const { send, heard, arp } = setup();
    send(arpRequest, otherMac, zero, MacAddress.zero, us);
    expect(heard()).toEqual(["is-at 10.0.0.1 0.0.0.0 to 02:00:00:00:00:66"]);
    expect(arp.cache.size).toBe(0);
  });

  test("an address that was given up is not answered for", () => {
    const { arp, send, heard } = setup();
    arp.yield(us);
    send(arpRequest, peerMac, peerIp, MacAddress.zero, us);
    expect(heard()).toEqual([]);
  });
});
