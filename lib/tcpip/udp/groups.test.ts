import { IpAddress, MacAddress, Prefix } from "@tesserae/device/address";
import type { Datagram } from "@tesserae/device/udp";
import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { Lan } from "@tesserae/netif/lan";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { describe, expect, test } from "vitest";
import { createStack, type IpStack } from "../stack/stack.ts";

const ip = (text: string): IpAddress => IpAddress.parse(text);
const mdns = ip("224.0.0.251");
const hello = new TextEncoder().encode("hello");

/** Two hosts on one network; the first is on a second network as well, with a third host. */
async function setup() {
  const clock = new VirtualClock();
  const timers = new Scheduler(clock);
  const near = new Lan({ timers, delay: 1 });
  const far = new Lan({ timers, delay: 1 });
  const fixed = (address: string) => ({ kind: "static" as const, address: Prefix.parse(address) });
  const netif = (lan: Lan, low: number) => lan.attach({ name: `eth${low}`, mac: new MacAddress(0x0200, low) });
  const off = { kind: "off" } as const;
  const make = (lan: Lan, low: number, address: string): Promise<IpStack> =>
    createStack({ netif: netif(lan, low), timers, random: new SeededRandom(low), ipv4: fixed(address), ipv6: off });
  const a = await createStack({
    interfaces: [
      { netif: netif(near, 1), ipv4: fixed("10.0.0.1/24"), ipv6: off },
      { netif: netif(far, 2), ipv4: fixed("10.1.0.1/24"), ipv6: off },
    ],
    timers,
    random: new SeededRandom(1),
  });
  const b = await make(near, 3, "10.0.0.2/24");
  const c = await make(far, 4, "10.1.0.2/24");
  const advance = (ms = 100): void => {
    const end = clock.now() + ms;
    for (let next = timers.nextDeadline(); next <= end; next = timers.nextDeadline()) {
      clock.advanceTo(Math.max(next, clock.now()));
      timers.run();
    }
    clock.advanceTo(end);
  };
  const into = (heard: string[], name: string) => (datagram: Datagram) =>
    heard.push(`${name} ${datagram.source.toString()} → ${datagram.destination.toString()} by ${datagram.interface}`);
  return { a, b, c, advance, into };
}

describe("RFC 1112: groups", () => {
  test("a datagram reaches those that joined, by the interface that they joined on, and the sender itself", async () => {
    const { a, b, c, advance, into } = await setup();
    const heard: string[] = [];
    const atA = a.udp.open({ port: 5353 }, into(heard, "a"));
    const atB = b.udp.open({ port: 5353 }, into(heard, "b"));
    const atC = c.udp.open({ port: 5353 }, into(heard, "c"));
    atB.send(hello, 0, 5, mdns, 5353);
    advance();
    expect(heard.splice(0)).toEqual([]);
    atA.join(mdns, 1);
    atA.join(mdns, 2);
    atA.join(mdns, 2);
    atB.join(mdns);
    atB.send(hello, 0, 5, mdns, 5353);
    advance();
    expect(heard.splice(0).toSorted()).toEqual(["a 10.0.0.2 → 224.0.0.251 by 1", "b 10.0.0.2 → 224.0.0.251 by 1"]);
    atC.send(hello, 0, 5, mdns, 5353);
    advance();
    expect(heard.splice(0)).toEqual(["a 10.1.0.2 → 224.0.0.251 by 2"]);
    // The interface says which address it comes from.
    atA.send(hello, 0, 5, mdns, 5353, 2);
    atC.join(mdns);
    advance();
    expect(heard.splice(0).toSorted()).toEqual(["a 10.1.0.1 → 224.0.0.251 by 2", "c 10.1.0.1 → 224.0.0.251 by 1"]);
    atA.leave(mdns, 2);
    atC.send(hello, 0, 5, mdns, 5353);
    advance();
    expect(heard.splice(0)).toEqual(["c 10.1.0.2 → 224.0.0.251 by 1"]);
    await atC.close();
    expect(c.ip.interface(1).groups.size).toBe(0);
    atB.send(hello, 0, 5, mdns, 5353);
    advance();
    expect(heard.splice(0)).toHaveLength(2);
  });

  test("RFC 6762 §15.1, §11: services share 5353, send with 255, and need not hear themselves", async () => {
    const { a, b, advance, into } = await setup();
    const heard: string[] = [];
    const limits: number[] = [];
    const options = { port: 5353, share: true, hopLimit: 255, multicastLoopback: false };
    const one = a.udp.open(options, into(heard, "one"));
    const two = a.udp.open(options, into(heard, "two"));
    expect(() => a.udp.open({ port: 5353 }, () => undefined)).toThrow("is taken");
    one.join(mdns, 1);
    two.join(mdns, 1);
    const listen = b.ip.interface(1);
    expect(listen.groups.size).toBe(0);
    const asker = b.udp.open({ port: 5353, share: true }, into(heard, "b"));
    asker.join(mdns);
    asker.send(hello, 0, 5, mdns, 5353);
    advance();
    expect(heard.splice(0).filter((line) => !line.startsWith("b "))).toEqual([
      "one 10.0.0.2 → 224.0.0.251 by 1",
      "two 10.0.0.2 → 224.0.0.251 by 1",
    ]);
    // Unicast goes to the one that was first.
    asker.send(hello, 0, 5, ip("10.0.0.1"), 5353);
    advance();
    expect(heard.splice(0)).toEqual(["one 10.0.0.2 → 10.0.0.1 by 1"]);
    b.ip.listen(17, ({ hopLimit }) => limits.push(hopLimit));
    one.send(hello, 0, 5, mdns, 5353, 1);
    a.udp.open({}, () => undefined).send(hello, 0, 5, mdns, 5353, 1);
    advance();
    expect(limits).toEqual([255, 1]);
    expect(heard.filter((line) => line.startsWith("one 10.0.0.1"))).toHaveLength(1);
  });

  test("what cannot be joined is refused in words", async () => {
    const { a } = await setup();
    const socket = a.udp.open({}, () => undefined);
    expect(() => socket.join(ip("10.0.0.9"))).toThrow("10.0.0.9 is not a multicast address");
    expect(() => socket.join(mdns, 7)).toThrow("no interface has room for group 224.0.0.251");
    await socket.close();
    expect(() => socket.join(mdns)).toThrow("is closed");
    expect(() => a.udp.open({ hopLimit: 300 }, () => undefined)).toThrow("hopLimit 300");
  });
});

describe("RFC 919: broadcasts", () => {
  test("to all of one link, or of a network, they leave by the interface that is meant", async () => {
    const { a, b, c, advance, into } = await setup();
    const heard: string[] = [];
    b.udp.open({ port: 9 }, into(heard, "b"));
    c.udp.open({ port: 9 }, into(heard, "c"));
    const socket = a.udp.open({}, () => undefined);
    socket.send(hello, 0, 5, IpAddress.broadcast4, 9);
    socket.send(hello, 0, 5, IpAddress.broadcast4, 9, 2);
    socket.send(hello, 0, 5, ip("10.1.0.255"), 9);
    advance();
    expect(heard.toSorted()).toEqual([
      "b 10.0.0.1 → 255.255.255.255 by 1",
      "c 10.1.0.1 → 10.1.0.255 by 1",
      "c 10.1.0.1 → 255.255.255.255 by 1",
    ]);
  });

  test("a socket of one interface hears and uses that alone, and others may have its port elsewhere", async () => {
    const { a, b, c, advance, into } = await setup();
    const heard: string[] = [];
    a.udp.open({ port: 67, interface: 1 }, into(heard, "one"));
    const two = a.udp.open({ port: 67, interface: 2 }, into(heard, "two"));
    expect(() => a.udp.open({ port: 67, interface: 2 }, () => undefined)).toThrow("is taken");
    b.udp.open({}, () => undefined).send(hello, 0, 5, IpAddress.broadcast4, 67);
    c.udp.open({ port: 9 }, into(heard, "c")).send(hello, 0, 5, ip("10.1.0.1"), 67);
    advance();
    expect(heard.splice(0).toSorted()).toEqual(["one 10.0.0.2 → 255.255.255.255 by 1", "two 10.1.0.2 → 10.1.0.1 by 2"]);
    two.send(hello, 0, 5, IpAddress.broadcast4, 9);
    advance();
    expect(heard).toEqual(["c 10.1.0.1 → 255.255.255.255 by 1"]);
  });
});
