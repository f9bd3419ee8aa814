import { IpAddress, MacAddress, Prefix } from "@tesserae/device/address";
import { FramePeer } from "@tesserae/conformance/frame-peer";
import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { createLink } from "@tesserae/netif/link";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { checksum } from "@tesserae/wire/checksum";
import { describe, expect, test } from "vitest";
import { createStack } from "../stack/stack.ts";

const group = IpAddress.parse("224.0.0.251");
const other = IpAddress.parse("239.1.2.3");

async function setup() {
  const clock = new VirtualClock();
  const timers = new Scheduler(clock);
  const link = createLink({ timers });
  const peer = new FramePeer(link.b);
  const stack = await createStack({
    netif: link.a,
    timers,
    random: new SeededRandom(1),
    ipv4: { kind: "static", address: Prefix.parse("10.0.0.1/24") },
    ipv6: { kind: "off" },
  });
  const advance = (ms: number): void => {
    const end = clock.now() + ms;
    for (let next = timers.nextDeadline(); next <= end; next = timers.nextDeadline()) {
      clock.advanceTo(Math.max(next, clock.now()));
      timers.run();
    }
    clock.advanceTo(end);
  };
  /** The IGMP messages sent, in words; each is checked on the way. */
  const said = (): string[] =>
    peer.take().flatMap((frame) => {
      if (frame[13] !== 0 || frame[14 + 9] !== 2) return [];
      // RFC 3376 §4: time to live 1, internetwork control, a router alert.
      expect([frame[14], frame[15], frame[14 + 8], frame[34], frame[35]]).toEqual([0x46, 0xc0, 1, 148, 4]);
      expect(checksum(frame, 14, 24)).toBe(0);
      const length = ((frame[16]! << 8) | frame[17]!) - 24;
      expect(checksum(frame, 38, length)).toBe(0);
      const address = (at: number): string => frame.slice(at, at + 4).join(".");
      const to = `→ ${address(30)}`;
      const type = frame[38]!;
      if (type !== 0x22)
        return [`${{ 0x12: "report-1", 0x16: "report-2", 0x17: "leave-2" }[type]} ${address(42)} ${to}`];
      const records = Array.from({ length: (frame[44]! << 8) | frame[45]! }, (_, index) => {
        const at = 46 + index * 8;
        return `${{ 2: "is-exclude", 3: "to-include", 4: "to-exclude" }[frame[at]!]} ${address(at + 4)}`;
      });
      return [`${records.join(", ")} ${to}`];
    });
  const query = (code: number, version3: boolean, about = IpAddress.any4, hopLimit = 1): void => {
    const igmp = new Uint8Array(version3 ? 12 : 8);
    igmp.set([0x11, code, 0, 0, about.w3 >>> 24, about.w3 >>> 16, about.w3 >>> 8, about.w3]);
    send(igmp, IpAddress.parse("224.0.0.1"), hopLimit);
  };
  const send = (igmp: Uint8Array, to: IpAddress, hopLimit = 1): void => {
    const sum = checksum(igmp, 0, igmp.length);
    igmp.set([sum >>> 8, sum], 2);
    const frame = new Uint8Array(34 + igmp.length);
    new MacAddress(0x0100, 0x5e000000 | (to.w3 & 0x7fffff)).write(frame, 0);
    link.b.mac.write(frame, 6);
    frame.set([8, 0, 0x45, 0, 0, 20 + igmp.length, 0, 0, 0, 0, hopLimit, 2, 0, 0, 10, 0, 0, 9], 12);
    frame.set([to.w3 >>> 24, to.w3 >>> 16, to.w3 >>> 8, to.w3], 30);
    const header = checksum(frame, 14, 20);
    frame.set([header >>> 8, header], 24);
    frame.set(igmp, 34);
    peer.send(frame);
    advance(0);
  };
  return { stack, advance, said, query, send };
}

describe("RFC 3376", () => {
  test("§5.1: joining and leaving are told twice, to 224.0.0.22; a second user changes nothing", async () => {
    const { stack, advance, said } = await setup();
    expect(stack.ip.join(group)).toBe(1);
    stack.ip.join(group);
    advance(0);
    expect(said()).toEqual(["to-exclude 224.0.0.251 → 224.0.0.22"]);
    advance(1000);
    expect(said()).toEqual(["to-exclude 224.0.0.251 → 224.0.0.22"]);
    stack.ip.leave(group, 1);
    advance(5000);
    expect(said()).toEqual([]);
    stack.ip.leave(group, 1);
    advance(5000);
    expect(said()).toEqual(["to-include 224.0.0.251 → 224.0.0.22", "to-include 224.0.0.251 → 224.0.0.22"]);
  });

  test("groups joined together are told together; all systems never", async () => {
    const { stack, advance, said } = await setup();
    stack.ip.join(group);
    stack.ip.join(other);
    stack.ip.join(IpAddress.parse("224.0.0.1"));
    advance(0);
    expect(said()).toEqual(["to-exclude 224.0.0.251, to-exclude 239.1.2.3 → 224.0.0.22"]);
  });

  test("§5.2: queries are answered within the time they say: general ones with all, others with one", async () => {
    const { stack, advance, said, query } = await setup();
    stack.ip.join(group);
    stack.ip.join(other);
    advance(2000);
    said();
    query(20, true);
    expect(said()).toEqual([]);
    advance(2000);
    expect(said()).toEqual(["is-exclude 224.0.0.251, is-exclude 239.1.2.3 → 224.0.0.22"]);
    query(20, true, other);
    advance(2000);
    expect(said()).toEqual(["is-exclude 239.1.2.3 → 224.0.0.22"]);
    query(20, true, IpAddress.parse("239.9.9.9"));
    advance(2000);
    expect(said()).toEqual([]);
    expect(stack.statistics.igmp).toMatchObject({ queries: 3, malformed: 0 });
  });

  test("what comes from beyond the link is not believed", async () => {
    const { stack, advance, said, query } = await setup();
    stack.ip.join(group);
    advance(2000);
    said();
    query(20, true, IpAddress.any4, 64);
    advance(5000);
    expect(said()).toEqual([]);
    expect(stack.statistics.igmp.malformed).toBe(1);
  });

  test("an interface has room for 64 groups", async () => {
    const { stack, advance, said } = await setup();
    for (let low = 1; low <= 70; low++) {
      expect(stack.ip.join(IpAddress.v4(0xef000000 + low))).toBe(low <= 64 ? 1 : 0);
    }
    advance(0);
    expect(said()[0]?.split(",")).toHaveLength(64);
    expect(() => stack.ip.join(IpAddress.parse("10.0.0.9"))).toThrow("10.0.0.9 is not an IPv4 multicast address");
  });
});

describe("RFC 3376 §7.2: routers of older versions", () => {
  test("version 2: reports to the group, a leave to all routers, for 260 s after its last query", async () => {
    const { stack, advance, said, query } = await setup();
    query(100, false);
    stack.ip.join(group);
    advance(0);
    expect(said()).toEqual(["report-2 224.0.0.251 → 224.0.0.251"]);
    advance(10_000);
    expect(said()).toEqual(["report-2 224.0.0.251 → 224.0.0.251"]);
    query(100, false);
    advance(10_000);
    expect(said()).toEqual(["report-2 224.0.0.251 → 224.0.0.251"]);
    stack.ip.leave(group, 1);
    advance(20_000);
    expect(said()).toEqual(["leave-2 224.0.0.251 → 224.0.0.2"]);
    advance(260_000);
    stack.ip.join(group);
    advance(0);
    expect(said()).toEqual(["to-exclude 224.0.0.251 → 224.0.0.22"]);
  });

  test("RFC 2236 §3: a report of another host makes ours needless", async () => {
    const { stack, advance, said, query, send } = await setup();
    query(100, false);
    stack.ip.join(group);
    advance(20_000);
    said();
    query(100, false);
    send(Uint8Array.of(0x16, 0, 0, 0, 224, 0, 0, 251), group);
    advance(20_000);
    expect(said()).toEqual([]);
  });

  test("version 1: reports, and nothing when leaving", async () => {
    const { stack, advance, said, query } = await setup();
    query(0, false);
    stack.ip.join(other);
    advance(0);
    expect(said()).toEqual(["report-1 239.1.2.3 → 239.1.2.3"]);
    advance(20_000);
    said();
    stack.ip.leave(other, 1);
    advance(20_000);
    expect(said()).toEqual([]);
  });
});
