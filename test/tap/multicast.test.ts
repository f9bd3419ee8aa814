// Groups and broadcasts between our stack and the kernel's sockets, as mDNS uses them.
import { IpAddress, Prefix } from "@tesserae/device/address";
import type { Datagram, Udp, UdpSocket } from "@tesserae/device/udp";
import { createKernelStack } from "@tesserae/node/kernel-stack";
import { createRandom } from "@tesserae/node/random";
import { createTimers } from "@tesserae/node/timers";
import { createTap } from "@tesserae/tap/netif";
import { createStack, type IpStack } from "@tesserae/tcpip/stack/stack";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Namespace, unavailable } from "../namespace/namespace.ts";

const reason = unavailable();
const mdns = IpAddress.parse("224.0.0.251");
const hello = new TextEncoder().encode("hello");

describe.skipIf(reason !== undefined)(`with the kernel${reason === undefined ? "" : ` (${reason})`}`, () => {
  let namespace: Namespace;
  let leave: () => void;
  let own: IpStack;
  let kernel: ReturnType<typeof createKernelStack>;
  const closers: (() => unknown)[] = [];

  beforeAll(async () => {
    namespace = Namespace.create();
    leave = await namespace.enter();
    const timers = createTimers();
    const netif = await createTap({ name: "t0", hostAddress: Prefix.parse("10.1.0.1/24") });
    own = await createStack({
      ...{ netif, timers, random: createRandom() },
      ipv4: { kind: "static", address: Prefix.parse("10.1.0.2/24") },
      ipv6: { kind: "off" },
    });
    // What the kernel sends to groups goes where this says.
    namespace.ip("route add 224.0.0.0/4 dev t0");
    kernel = createKernelStack({ report: () => undefined });
    closers.push(
      () => own.close(),
      () => kernel.close(),
      () => timers.close(),
    );
  });
  afterAll(async () => {
    for (const close of closers) await close();
    leave();
    namespace.destroy();
  });

  async function bind(udp: Udp, heard: string[], name: string): Promise<UdpSocket> {
    const options = { port: 5353, address: IpAddress.any4, share: true, hopLimit: 255, multicastLoopback: false };
    return udp.bind(options, ({ bytes, offset, length, source, sourcePort }: Datagram) => {
      const text = new TextDecoder().decode(bytes.subarray(offset, offset + length));
      heard.push(`${name}: ${text} of ${source.toString()}:${sourcePort}`);
    });
  }

  async function until(met: () => boolean, act: () => void): Promise<void> {
    for (let tries = 0; tries < 100 && !met(); tries++) {
      act();
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  test("datagrams to a group reach those that joined it on either side, on a port that is shared", async () => {
    const heard: string[] = [];
    const ours = await bind(own.udp, heard, "ours");
    const second = await bind(own.udp, heard, "second");
    const theirs = await bind(kernel.udp, heard, "theirs");
    for (const each of [ours, second, theirs]) each.join(mdns);
    await until(
      () => heard.some((line) => line.startsWith("theirs")),
      () => ours.send(hello, 0, 5, mdns, 5353),
    );
    expect(new Set(heard.splice(0))).toEqual(new Set(["theirs: hello of 10.1.0.2:5353"]));
    await until(
      () => heard.length > 1,
      () => theirs.send(hello, 0, 5, mdns, 5353),
    );
    expect(new Set(heard.splice(0))).toEqual(
      new Set(["ours: hello of 10.1.0.1:5353", "second: hello of 10.1.0.1:5353"]),
    );
    expect(own.statistics.igmp.reportsSent).toBeGreaterThan(0);
    // The kernel's own reports have come to us, and were no trouble.
    expect(own.statistics.igmp.malformed).toBe(0);
    second.leave(mdns);
    await until(
      () => heard.length > 0,
      () => theirs.send(hello, 0, 5, mdns, 5353),
    );
    expect(new Set(heard)).toEqual(new Set(["ours: hello of 10.1.0.1:5353"]));
    for (const each of [ours, second, theirs]) await each.close();
    expect(own.ip.interface(1).groups.size).toBe(0);
  });

  test("broadcasts come through both ways", async () => {
    const heard: string[] = [];
    const ours = await bind(own.udp, heard, "ours");
    const theirs = await bind(kernel.udp, heard, "theirs");
    const network = IpAddress.parse("10.1.0.255");
    await until(
      () => heard.some((line) => line.startsWith("theirs")),
      () => ours.send(hello, 0, 5, network, 5353),
    );
    await until(
      () => heard.some((line) => line.startsWith("ours")),
      () => theirs.send(hello, 0, 5, network, 5353),
    );
    // The kernel hears its own broadcasts, too.
    expect(new Set(heard)).toEqual(
      new Set(["theirs: hello of 10.1.0.2:5353", "ours: hello of 10.1.0.1:5353", "theirs: hello of 10.1.0.1:5353"]),
    );
    await ours.close();
    await theirs.close();
  });

  test("what the kernel's sockets cannot is refused in words", async () => {
    const socket = await kernel.udp.bind({}, () => undefined);
    // Unbound sockets are of both families, and the kernel takes no IPv4 group on these.
    if (socket.local.address.family === 6) expect(() => socket.join(mdns)).toThrow("bind it to 0.0.0.0");
    expect(() => socket.join(IpAddress.parse("10.0.0.1"))).toThrow("is not a multicast address");
    await socket.close();
    await expect(kernel.udp.bind({ interface: 1 }, () => undefined)).rejects.toMatchObject({
      kind: "address-not-available",
    });
  });
});
