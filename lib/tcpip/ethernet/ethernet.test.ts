import { MacAddress } from "@tesserae/device/address";
import { headroom } from "@tesserae/device/page";
import { FramePeer } from "@tesserae/conformance/frame-peer";
import { createLink } from "@tesserae/netif/link";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createEthernet } from "./ethernet.ts";
import { etherTypeIpv4, ethernet as layout } from "./wire.ts";

const ours = new MacAddress(0x0200, 1);
const theirs = new MacAddress(0x0200, 2);

function frame(destination: MacAddress, source: MacAddress, etherType: number, payload: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(14 + payload.length);
  layout.emit({ destination, source, etherType }, bytes);
  bytes.set(payload, 14);
  return bytes;
}

function setup() {
  const timers = new Scheduler(new VirtualClock());
  const link = createLink({ timers });
  const peer = new FramePeer(link.b);
  const ethernet = createEthernet({ netif: link.a });
  const got: number[][] = [];
  ethernet.listen(etherTypeIpv4, (page, offset, length, frameOffset) => {
    expect(offset - frameOffset).toBe(14);
    got.push([...page.bytes.slice(offset, offset + length)]);
  });
  const receive = (bytes: Uint8Array): void => {
    peer.send(bytes);
    timers.run();
  };
  return { timers, link, peer, ethernet, got, receive };
}

describe("Ethernet II", () => {
  test("frames for us and for groups come up, by their type", () => {
    const { ethernet, got, receive } = setup();
    const group = MacAddress.parse("01:00:5e:00:00:01");
    for (const [index, to] of [ours, MacAddress.broadcast, group].entries())
      receive(frame(to, theirs, 0x0800, [index]));
    const other: number[] = [];
    ethernet.listen(0x86dd, (_page, _offset, length) => other.push(length));
    receive(frame(ours, theirs, 0x86dd, [1, 2, 3]));
    expect(got).toEqual([[0], [1], [2]]);
    expect(other).toEqual([3]);
    // A second handler takes the place of the first.
    ethernet.listen(etherTypeIpv4, () => undefined);
    receive(frame(ours, theirs, 0x0800, [9]));
    expect(got).toHaveLength(3);
  });

  test.each<[string, Uint8Array, string]>([
    ["for somebody else", frame(theirs, theirs, 0x0800, [1]), "notForUs"],
    ["from a group", frame(ours, MacAddress.broadcast, 0x0800, [1]), "badSource"],
    ["of a type nobody listens to", frame(ours, theirs, 0x8100, [1]), "unknownType"],
    ["with a length instead of a type", frame(ours, theirs, 46, [1]), "unknownType"],
  ])("a frame %s is dropped and counted", (_, bytes, counter) => {
    const { ethernet, got, receive } = setup();
    receive(bytes);
    expect(got).toEqual([]);
    expect(ethernet.statistics).toMatchObject({ received: 1, [counter]: 1 });
  });

  test("any frame is counted once", () => {
    const { ethernet, receive, got } = setup();
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 14, maxLength: 60 }), (bytes) => {
        receive(bytes);
        const { received, notForUs, badSource, unknownType, tooShort } = ethernet.statistics;
        expect(received).toBe(got.length + notForUs + badSource + unknownType + tooShort);
      }),
    );
  });

  test("send writes the header in front of the payload, and takes the page", () => {
    const { ethernet, peer, timers, link } = setup();
    const page = ethernet.allocate()!;
    page.bytes.set([1, 2, 3], headroom);
    expect(ethernet.send(theirs, 0x0806, page, headroom, 3)).toBe(true);
    timers.run();
    expect(peer.take()).toEqual([frame(theirs, ours, 0x0806, [1, 2, 3])]);
    expect(() => link.a.release(page)).toThrow(RangeError);
    expect(ethernet.send(theirs, 0x0806, ethernet.allocate()!, headroom, 1501)).toBe(false);
    expect(ethernet.statistics).toMatchObject({ sent: 2, sendFailed: 1 });
  });

  test.each([0x05ff, 0x10000, 2048.5])("refuses the type %s", (etherType) => {
    expect(() => setup().ethernet.listen(etherType, () => undefined)).toThrow("etherType");
  });
});
