import { MacAddress } from "@tesserae/device/address";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { describe, expect, test } from "vitest";
import { Bridge } from "./bridge.ts";
import { createLink } from "./link.ts";

describe("Bridge", () => {
  function bridged(ports: number, options: { addresses?: number } = {}) {
    const clock = new VirtualClock({ origin: 0 });
    const timers = new Scheduler(clock);
    const bridge = new Bridge({ clock: timers, ...options });
    const hosts = Array.from({ length: ports }, (_, index) => {
      const { a, b } = createLink({ timers });
      const port = bridge.attach(b);
      const got: number[] = [];
      a.listen((page, offset) => got.push(page.bytes[offset + 14]!));
      return { netif: a, port, got, mac: new MacAddress(0x0200, index + 16) };
    });
    let last = 0;
    const send = (from: number, to: MacAddress, source = hosts[from]!.mac): number => {
      const page = hosts[from]!.netif.allocate()!;
      to.write(page.bytes, 0);
      source.write(page.bytes, 6);
      page.bytes[14] = ++last;
      hosts[from]!.netif.transmit(page, 0, 60);
      for (let round = 0; round < 3; round++) timers.run();
      return last;
    };
    const who = (frame: number): number[] => hosts.flatMap(({ got }, index) => (got.includes(frame) ? [index] : []));
    return { bridge, clock, hosts, send, who };
  }

  test("floods what it has not learned, and sends the rest to one", () => {
    const { hosts, send, who } = bridged(4);
    expect(who(send(0, hosts[2]!.mac))).toEqual([1, 2, 3]);
    expect(who(send(2, hosts[0]!.mac))).toEqual([0]);
    expect(who(send(1, hosts[2]!.mac))).toEqual([2]);
    expect(who(send(3, MacAddress.broadcast))).toEqual([0, 1, 2]);
    expect(hosts[2]!.port).toMatchObject({ forwarded: 1, flooded: 2, dropped: 0, refused: 0 });
  });

  test("an address that moves is found at its new port, and one not heard of for five minutes is forgotten", () => {
    const { clock, hosts, send, who } = bridged(3);
    send(0, hosts[1]!.mac);
    send(2, hosts[1]!.mac, hosts[0]!.mac);
    expect(who(send(1, hosts[0]!.mac))).toEqual([2]);
    clock.advanceTo(300_001);
    expect(who(send(1, hosts[0]!.mac))).toEqual([0, 2]);
  });

  test("a port that makes addresses up evicts its own only", () => {
    const { bridge, hosts, send, who } = bridged(3, { addresses: 4 });
    send(0, hosts[1]!.mac);
    for (let index = 0; index < 20; index++) send(2, hosts[1]!.mac, new MacAddress(0x0202, index));
    expect(bridge.addresses).toBe(5);
    expect(who(send(1, hosts[0]!.mac))).toEqual([0]);
    expect(who(send(1, new MacAddress(0x0202, 2)))).toEqual([0, 2]);
    expect(who(send(1, new MacAddress(0x0202, 19)))).toEqual([2]);
  });

  test("a port detached gets and sends nothing, and its addresses are forgotten", () => {
    const { bridge, hosts, send, who } = bridged(3);
    send(0, hosts[1]!.mac);
    bridge.detach(hosts[0]!.port);
    bridge.detach(hosts[0]!.port);
    expect(bridge.addresses).toBe(0);
    expect(who(send(1, hosts[0]!.mac))).toEqual([2]);
    expect(who(send(0, hosts[1]!.mac))).toEqual([]);
  });

  test("a port with one address may use no other, and what is for the neighbour alone is not passed on", () => {
    const { bridge, hosts, send, who } = bridged(3);
    bridge.detach(hosts[0]!.port);
    const { netif } = hosts[0]!.port;
    const port = bridge.attach(netif, { only: hosts[0]!.mac });
    expect(who(send(0, MacAddress.broadcast))).toEqual([1, 2]);
    expect(who(send(0, MacAddress.broadcast, hosts[1]!.mac))).toEqual([]);
    expect(who(send(1, MacAddress.parse("01:80:c2:00:00:0e")))).toEqual([]);
    expect([port.refused, hosts[1]!.port.refused]).toEqual([1, 1]);
  });

  test("refuses a table of no size", () => {
    expect(() => new Bridge({ clock: new VirtualClock({ origin: 0 }), addresses: 0 })).toThrow("addresses 0");
  });
});
