import { IpAddress, MacAddress, Prefix } from "@tesserae/device/address";
import type { Datagram } from "@tesserae/device/udp";
import { headroom } from "@tesserae/device/page";
import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { Lan } from "@tesserae/netif/lan";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { runVirtual } from "@tesserae/time/virtual-run";
import { describe, expect, test } from "vitest";
import type { NatOptions } from "../nat/nat.ts";
import { createRouter, type RouterOptions } from "./router.ts";
import { createStack, type IpStack } from "./stack.ts";

const ip = (text: string): IpAddress => IpAddress.parse(text);
const text = ({ bytes, offset, length }: Datagram): string =>
  new TextDecoder().decode(bytes.subarray(offset, offset + length));
const hello = new TextEncoder().encode("hello");

/** Two clients inside, a router, two servers outside; the outside's MTU may be smaller. */
async function setup(
  options: Partial<RouterOptions> & { readonly outsideMtu?: number } = {},
  nat?: Omit<Partial<NatOptions>, "outside" | "timers" | "random">,
) {
  const clock = new VirtualClock();
  const timers = new Scheduler(clock);
  const inside = new Lan({ timers, delay: 1 });
  const outside = new Lan({ timers, delay: 1, mtu: options.outsideMtu ?? 1500 });
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
  const drive = <T>(promise: Promise<T>): Promise<T> => runVirtual({ clock, schedulers: [timers], turn }, promise);
  const pause = (ms: number): Promise<void> =>
    drive(new Promise((resolve) => timers.timer(resolve).set(clock.now() + ms)));
  let hosts = 0;
  const netif = (lan: Lan) => lan.attach({ name: `eth${hosts}`, mac: new MacAddress(0x0200, ++hosts) });
  const host = (lan: Lan, address: string, gateway: string | undefined): Promise<IpStack> =>
    drive(
      createStack({
        netif: netif(lan),
        timers,
        random: new SeededRandom(hosts),
        ipv4: {
          kind: "static",
          address: Prefix.parse(address),
          ...(gateway === undefined ? {} : { gateway: ip(gateway) }),
        },
      }),
    );
  const fixed = (address: string) => ({ kind: "static" as const, address: Prefix.parse(address) });
  const router = await drive(
    createRouter({
      interfaces: [
        { netif: netif(outside), name: "outside", ipv4: fixed("198.51.100.1/24") },
        { netif: netif(inside), name: "inside", ipv4: fixed("10.0.0.1/24") },
      ],
      timers,
      random: new SeededRandom(99),
      ...options,
      ...(nat === undefined ? {} : { nat: { outside: 1, ...nat } }),
    }),
  );
  const a = await host(inside, "10.0.0.2/24", "10.0.0.1");
  const b = await host(inside, "10.0.0.3/24", "10.0.0.1");
  // With NAT the servers know nothing of what is inside.
  const back = nat === undefined ? "198.51.100.1" : undefined;
  const server = await host(outside, "198.51.100.2/24", back);
  const other = await host(outside, "198.51.100.3/24", back);
  return { clock, timers, drive, pause, router, a, b, server, other };
}

/** What a server hears on a port, answered with what it saw as the sender. */
function mirror(stack: IpStack, port: number, heard: string[]): void {
  const socket = stack.udp.open({ port }, (datagram) => {
    const from = `${datagram.source.toString()}:${datagram.sourcePort}`;
    heard.push(`${from} ${text(datagram)}`);
    const answer = new TextEncoder().encode(from);
    socket.send(answer, 0, answer.length, datagram.source, datagram.sourcePort);
  });
}

describe("RFC 1812: forwarding", () => {
  test("hosts on both sides ping and talk through the router", async () => {
    const { drive, a, server, router } = await setup();
    expect(await drive(a.icmp.ping(ip("198.51.100.2")))).toBeGreaterThan(3);
    expect(await drive(server.icmp.ping(ip("10.0.0.2"), { size: 20_000 }))).toBe(4);
    await server.tcp.listen({ port: 7 }, async (flow) => {
      const bytes = new Uint8Array(1000);
      const length = await flow.read(bytes);
      await flow.write(bytes.subarray(0, length));
      await flow.close();
    });
    const flow = await drive(a.tcp.connect({ address: ip("198.51.100.2"), port: 7 }));
    await drive(flow.write(hello));
    const bytes = new Uint8Array(10);
    expect(await drive(flow.read(bytes))).toBe(5);
    expect(router.forwarding.statistics.forwarded).toBeGreaterThan(8);
    expect(router.statistics.ipv4.notForUs).toBe(0);
  });

  test("the router is reached by any of its addresses, a host by that of the link alone", async () => {
    const { drive, a, router } = await setup();
    expect(await drive(a.icmp.ping(ip("198.51.100.1")))).toBe(4);
    await router.close();
    // RFC 1122 §3.3.4.2: the strong model.
    const plain = await setup();
    plain.router.forwarding.close();
    await expect(plain.drive(plain.a.icmp.ping(ip("198.51.100.1")))).rejects.toMatchObject({ kind: "timeout" });
    expect(plain.router.statistics.ipv4.notForUs).toBeGreaterThan(0);
  });

  test("§5.3.1, §4.3.3.2: a time to live used up is reported, and no packet goes on", async () => {
    const { drive, pause, a, router, server } = await setup();
    const errors: string[] = [];
    a.ip.listenErrors(253, ({ kind, reporter }) => errors.push(`${kind} ${reporter.toString()}`));
    const send = (hopLimit: number): void => {
      const page = a.ip.allocate()!;
      a.ip.send(ip("198.51.100.2"), 253, page, headroom, 100, { hopLimit });
    };
    const hops: number[] = [];
    server.ip.listen(253, ({ hopLimit }) => hops.push(hopLimit));
    send(1);
    await pause(100);
    send(2);
    await pause(100);
    send(64);
    await drive(pause(100));
    expect(errors).toEqual(["time-exceeded 10.0.0.1"]);
    expect(hops).toEqual([1, 63]);
    expect(router.forwarding.statistics).toMatchObject({ hopLimit: 1, forwarded: 2 });
  });

  test("a packet to nowhere, and one to a neighbour that is not there, are reported", async () => {
    const { drive, a, router } = await setup();
    const failure = (address: string) => drive(a.icmp.ping(ip(address))).catch((error: unknown) => String(error));
    expect(await failure("203.0.113.9")).toMatch(/unreachable-network, says 10\.0\.0\.1/);
    expect(await failure("198.51.100.77")).toMatch(/unreachable-host, says 10\.0\.0\.1/);
    expect(router.forwarding.statistics.noRoute).toBe(1);
  });

  test("RFC 791, RFC 1191: a packet too long is cut, or refused with the MTU when it forbids that", async () => {
    const { drive, pause, a, router, server } = await setup({ outsideMtu: 600 });
    expect(await drive(a.icmp.ping(ip("198.51.100.2"), { size: 1400 }))).toBeGreaterThan(3);
    expect(router.forwarding.statistics.fragments).toBe(3);
    expect(server.statistics.reassembly.reassembled).toBe(1);
    // TCP forbids it, and learns.
    await server.tcp.listen({ port: 9 }, async (flow) => {
      const bytes = new Uint8Array(4000);
      let got = 0;
      for (let length = await flow.read(bytes); length > 0; length = await flow.read(bytes)) got += length;
      expect(got).toBe(20_000);
      await flow.close();
    });
    const page = a.ip.allocate()!;
    expect(a.ip.send(ip("198.51.100.2"), 253, page, headroom, 1000, { dontFragment: true })).toBe(true);
    await pause(20);
    expect(a.ip.mtu(ip("198.51.100.2"))).toBe(600);
    const flow = await drive(a.tcp.connect({ address: ip("198.51.100.2"), port: 9 }));
    await drive(flow.write(new Uint8Array(20_000)));
    await drive(flow.end());
    expect(await drive(flow.read(new Uint8Array(1)))).toBe(0);
    expect(router.forwarding.statistics.tooBig).toBeGreaterThanOrEqual(1);
  });

  test("RFC 3704: a source that does not live where the packet came from is not believed", async () => {
    const { pause, a, router } = await setup();
    const page = a.ip.allocate()!;
    // Written by hand below IP: a forged source.
    const packet = page.bytes;
    packet.fill(0, headroom, headroom + 40);
    packet.set([0x45, 0, 0, 40, 0, 0, 0, 0, 64, 253, 0, 0, 198, 51, 100, 77, 198, 51, 100, 2], headroom);
    let sum = 0;
    for (let at = 0; at < 20; at += 2) sum += (packet[headroom + at]! << 8) | packet[headroom + at + 1]!;
    sum = (sum & 0xffff) + (sum >>> 16);
    packet[headroom + 10] = ~sum >>> 8;
    packet[headroom + 11] = ~sum;
    a.arp.sendIpv4(ip("10.0.0.1").w3, page, headroom, 40);
    await pause(20);
    expect(router.forwarding.statistics).toMatchObject({ refusedSource: 1, forwarded: 0 });
  });

  test("broadcasts and link-local addresses do not pass, and nothing is said about them", async () => {
    const { pause, a, router } = await setup();
    for (const address of ["198.51.100.255", "169.254.1.1"]) {
      const page = a.ip.allocate()!;
      a.ip.send(ip(address), 253, page, headroom, 40);
      await pause(20);
    }
    expect(router.forwarding.statistics).toMatchObject({ refusedDestination: 2, forwarded: 0 });
    expect(router.statistics.icmp.errorsSent).toBe(0);
  });

  test("a filter decides, and what it refuses is answered", async () => {
    const seen: string[] = [];
    const filter = (_bytes: Uint8Array, _header: number, _total: number, from: number, to: number): boolean => {
      seen.push(`${from}>${to}`);
      return from === 2;
    };
    const { drive, a, b, server } = await setup({ filter });
    await expect(drive(a.icmp.ping(ip("198.51.100.2")))).rejects.toMatchObject({ kind: "timeout" });
    await expect(drive(server.icmp.ping(ip("10.0.0.3")))).rejects.toThrow(/prohibited/);
    expect(seen).toEqual(["2>1", "1>2", "1>2"]);
    expect(b.statistics.icmp.received).toBe(0);
  });
});

describe("RFC 4787, 5382, 5508: network address translation", () => {
  test("clients inside reach a server outside as one address; equal ports become different ones", async () => {
    const { drive, pause, a, b, server, router } = await setup({}, {});
    const heard: string[] = [];
    mirror(server, 53, heard);
    const answers: string[] = [];
    for (const client of [a, b]) {
      const socket = client.udp.open({ port: 5000 }, (datagram) => answers.push(text(datagram)));
      socket.send(hello, 0, 5, ip("198.51.100.2"), 53);
    }
    await pause(50);
    expect(heard).toHaveLength(2);
    expect(answers.toSorted()).toEqual(heard.map((line) => line.split(" ")[0]!).toSorted());
    expect(new Set(heard.map((line) => line.split(" ")[0])).size).toBe(2);
    for (const line of heard) expect(line).toMatch(/^198\.51\.100\.1:\d+ hello$/);
    expect(await drive(a.icmp.ping(ip("198.51.100.2"), { size: 4000 }))).toBeGreaterThan(3);
    await server.tcp.listen({ port: 7 }, async (flow) => {
      await flow.write(new TextEncoder().encode(flow.remote.address.toString()));
      await flow.close();
    });
    const flow = await drive(b.tcp.connect({ address: ip("198.51.100.2"), port: 7 }));
    const bytes = new Uint8Array(100);
    const length = await drive(flow.read(bytes));
    expect(new TextDecoder().decode(bytes.subarray(0, length))).toBe("198.51.100.1");
    await drive(flow.close());
    expect(router.nat?.size).toMatchObject({ mappings: 4, sessions: 4 });
    // All of them go in time.
    await pause(300_001);
    expect(router.nat?.size).toMatchObject({ mappings: 0, sessions: 0 });
  });

  test("RFC 4787 §4.1: an endpoint has one mapping, whomever it talks to; §5: strangers are filtered", async () => {
    for (const filtering of ["endpoint-independent", "address", "address-and-port"] as const) {
      const { pause, a, server, other, router } = await setup({}, { filtering });
      const heard: string[] = [];
      mirror(server, 53, heard);
      const got: string[] = [];
      const socket = a.udp.open({ port: 5000 }, ({ source, sourcePort }) =>
        got.push(`${source.toString()}:${sourcePort}`),
      );
      socket.send(hello, 0, 5, ip("198.51.100.2"), 53);
      await pause(50);
      const port = Number(heard[0]!.split(/[: ]/)[1]);
      // The parity of the port is kept.
      expect(port % 2).toBe(0);
      other.udp.open({ port: 54 }, () => undefined).send(hello, 0, 5, ip("198.51.100.1"), port);
      server.udp.open({ port: 55 }, () => undefined).send(hello, 0, 5, ip("198.51.100.1"), port);
      await pause(50);
      const expected = {
        "endpoint-independent": ["198.51.100.2:53", "198.51.100.3:54", "198.51.100.2:55"],
        address: ["198.51.100.2:53", "198.51.100.2:55"],
        "address-and-port": ["198.51.100.2:53"],
      }[filtering];
      expect(got.toSorted()).toEqual(expected.toSorted());
      expect(router.nat?.statistics.filtered).toBe(3 - expected.length);
      mirror(other, 53, heard);
      socket.send(hello, 0, 5, ip("198.51.100.3"), 53);
      await pause(50);
      expect(heard[1]?.split(" ")[0]).toBe(`198.51.100.1:${port}`);
    }
  });

  test("RFC 4787 §6: two hosts inside talk by way of the outside address", async () => {
    const { pause, a, b, server, router } = await setup({}, { filtering: "endpoint-independent" });
    const heard: string[] = [];
    mirror(server, 53, heard);
    const atB: string[] = [];
    const socketB = b.udp.open({ port: 6000 }, (datagram) => {
      atB.push(`${datagram.source.toString()}:${datagram.sourcePort} ${text(datagram)}`);
      if (text(datagram) === "hello") socketB.send(hello, 0, 4, datagram.source, datagram.sourcePort);
    });
    socketB.send(hello, 0, 5, ip("198.51.100.2"), 53);
    await pause(50);
    const port = Number(heard[0]!.split(/[: ]/)[1]);
    const atA: string[] = [];
    const socketA = a.udp.open({ port: 5000 }, (datagram) =>
      atA.push(`${datagram.source.toString()}:${datagram.sourcePort} ${text(datagram)}`),
    );
    socketA.send(hello, 0, 5, ip("198.51.100.1"), port);
    await pause(50);
    expect(atB.at(-1)).toMatch(/^198\.51\.100\.1:\d+ hello$/);
    expect(atA).toEqual([`198.51.100.1:${port} hell`]);
    expect(router.nat?.statistics.hairpinned).toBe(2);
  });

  test("a forwarded port leads inside; what is not forwarded is the router's own", async () => {
    const forwards = [{ protocol: "tcp" as const, port: 8080, to: { address: ip("10.0.0.3"), port: 80 } }];
    const { drive, b, server, router } = await setup({}, { forwards });
    await b.tcp.listen({ port: 80 }, async (flow) => {
      await flow.write(new TextEncoder().encode(flow.remote.address.toString()));
      await flow.close();
    });
    const flow = await drive(server.tcp.connect({ address: ip("198.51.100.1"), port: 8080 }));
    const bytes = new Uint8Array(100);
    const length = await drive(flow.read(bytes));
    expect(new TextDecoder().decode(bytes.subarray(0, length))).toBe("198.51.100.2");
    await drive(flow.close());
    await expect(drive(server.tcp.connect({ address: ip("198.51.100.1"), port: 80 }))).rejects.toMatchObject({
      kind: "refused",
    });
    expect(await drive(server.icmp.ping(ip("198.51.100.1")))).toBe(2);
    expect(router.nat?.size.mappings).toBe(1);
  });

  test("RFC 5508 §4: errors come through both ways, with the quote translated", async () => {
    const { drive, pause, a, b, server, router } = await setup(
      { outsideMtu: 600 },
      { forwards: [{ protocol: "udp", port: 7777, to: { address: ip("10.0.0.3"), port: 7 } }] },
    );
    // From outside: nobody listens on the server's port, and the transport is told.
    const errors: string[] = [];
    a.ip.listenErrors(17, ({ kind, source, destination, bytes, offset }) =>
      errors.push(
        `${kind} ${source.toString()}:${(bytes[offset]! << 8) | bytes[offset + 1]!} ${destination.toString()}`,
      ),
    );
    a.udp.open({ port: 5000 }, () => undefined).send(hello, 0, 5, ip("198.51.100.2"), 9);
    await pause(50);
    expect(errors).toEqual(["unreachable-port 10.0.0.2:5000 198.51.100.2"]);
    // From inside: nobody listens on the forwarded port.
    const outside: string[] = [];
    server.ip.listenErrors(17, ({ kind, reporter, destination, bytes, offset }) =>
      outside.push(
        `${kind} ${reporter.toString()} ${destination.toString()}:${(bytes[offset + 2]! << 8) | bytes[offset + 3]!}`,
      ),
    );
    server.udp.open({ port: 5001 }, () => undefined).send(hello, 0, 5, ip("198.51.100.1"), 7777);
    await pause(50);
    expect(outside).toEqual(["unreachable-port 198.51.100.1 198.51.100.1:7777"]);
    expect(router.nat?.statistics.errors).toBe(2);
    expect(b.statistics.udp.noPort).toBe(1);
    await drive(pause(1));
  });

  test("nobody outside reaches an inside address as if there were no translation", async () => {
    const { drive, server, router, a } = await setup({}, {});
    server.ip.interface(1).configure({ address: Prefix.parse("198.51.100.2/24"), gateway: ip("198.51.100.1") });
    await expect(drive(server.icmp.ping(ip("10.0.0.2")))).rejects.toThrow(/prohibited/);
    expect(router.nat?.statistics.intruders).toBe(1);
    expect(a.statistics.icmp.received).toBe(0);
  });

  test("one host cannot use up the table: it closes its own oldest, the others' stay", async () => {
    const { pause, a, b, server, router } = await setup({}, { capacity: 64, mostOfHost: 32 });
    const heard: string[] = [];
    mirror(server, 53, heard);
    const answers: string[] = [];
    const quiet = b.udp.open({ port: 5000 }, (datagram) => answers.push(text(datagram)));
    quiet.send(hello, 0, 5, ip("198.51.100.2"), 53);
    await pause(50);
    for (let port = 10_000; port < 10_200; port++) {
      a.udp.open({ port }, () => undefined).send(hello, 0, 5, ip("198.51.100.2"), 9);
      if (port % 10 === 0) await pause(5);
    }
    await pause(50);
    expect(router.nat?.size).toMatchObject({ sessions: 33, evicted: 168 });
    quiet.send(hello, 0, 5, ip("198.51.100.2"), 53);
    await pause(50);
    expect(heard[1]).toBe(heard[0]);
    expect(answers).toHaveLength(2);
  });

  test("a port that the router itself serves on is no mapping's", async () => {
    const { pause, router, a, b, server } = await setup({}, { ports: { first: 20_000, last: 20_003 } });
    const heard: string[] = [];
    mirror(server, 7, heard);
    router.udp.open({ port: 20_001 }, () => undefined);
    await router.tcp.listen({ port: 20_003 }, () => undefined);
    for (const host of [a, b]) host.udp.open({ port: 5001 }, () => undefined).send(hello, 0, 5, ip("198.51.100.2"), 7);
    await pause(100);
    // Odd ports stay odd, and only one is left: whoever came first has it.
    expect(heard).toEqual(["198.51.100.1:20003 hello"]);
    expect(router.nat?.statistics.refused).toBe(1);
  });
});
