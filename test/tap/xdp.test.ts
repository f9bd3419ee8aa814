// AF_XDP on veth pairs: the contract of Netif, our stack against the kernel, privileges.
import { IpAddress, Prefix } from "@tesserae/device/address";
import type { Netif } from "@tesserae/device/netif";
import { netifSuite } from "@tesserae/conformance/netif";
import { createRandom } from "@tesserae/node/random";
import { createTimers } from "@tesserae/node/timers";
import { loadCalls } from "@tesserae/tap/libc";
import { RingNetif } from "@tesserae/tap/ring-netif";
import { openXdp, type XdpOptions } from "@tesserae/tap/xdp/netif";
import { createStack } from "@tesserae/tcpip/stack/stack";
import { afterEach, describe, expect, test } from "vitest";
import { Namespace, unavailable } from "../namespace/namespace.ts";

const reason = unavailable("ping", "socat");
const open: { close(): Promise<void> | void }[] = [];

afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

function namespace(): Namespace {
  const made = Namespace.create();
  open.push({ close: () => made.destroy() });
  return made;
}

async function xdp(within: Namespace, options: XdpOptions): Promise<Netif> {
  const calls = await loadCalls();
  const opening = await within.inside(() => ({ netif: openXdp(calls, options) }));
  const netif = await opening.netif;
  open.push(netif);
  return netif;
}

describe.skipIf(reason !== undefined)(`AF_XDP${reason === undefined ? "" : ` (${reason})`}`, () => {
  describe.each([1500, 3826])("two ends of a veth keep the contract of Netif, MTU %i", (mtu) => {
    for (const each of netifSuite) {
      test(each.name, async () => {
        const inside = namespace();
        inside.ip(`link add name a0 mtu ${mtu} type veth peer name b0 mtu ${mtu}`);
        const a = await xdp(inside, { name: "a0", pages: 64 });
        const b = await xdp(inside, { name: "b0", pages: 64 });
        const timers = createTimers();
        open.push(timers);
        await each.run({ a, b, timers });
      });
    }
  });

  test("our stack serves the kernel at the other end, which leaves checksums out", async () => {
    const [own, kernel] = [namespace(), namespace()];
    own.ip(`link add name a0 type veth peer name b0 netns ${kernel.name}`);
    kernel.ip("address add 10.3.0.1/24 dev b0");
    kernel.ip("link set dev b0 up");
    const netif = await xdp(own, { name: "a0" });
    expect(netif instanceof RingNetif && netif.how).toBe("AF_XDP, copied by the kernel");
    const timers = createTimers();
    open.push(timers);
    const address = Prefix.parse("10.3.0.2/24");
    const ipv4 = { kind: "static", address, gateway: IpAddress.parse("10.3.0.1") } as const;
    const stack = await createStack({ netif, timers, random: createRandom(), ipv4 });
    open.push(stack);
    expect(await kernel.succeeds("ping", ["-c", "2", "-i", "0.2", "-W", "5", "10.3.0.2"])).toContain("2 received");
    let received = 0;
    await stack.tcp.listen({ port: 7 }, async (flow) => {
      const into = new Uint8Array(65_536);
      for (let got = await flow.read(into); got > 0; got = await flow.read(into)) {
        received += got;
        await flow.write(into.subarray(0, got));
      }
      await flow.close();
    });
    const echoed = await kernel.succeeds("sh", [
      "-c",
      "head -c 3000000 /dev/zero | socat -t 10 - TCP:10.3.0.2:7 | wc -c",
    ]);
    expect([received, Number(echoed)]).toEqual([3_000_000, 3_000_000]);
  });

  test("a queue in use, an interface that is none, and too large an MTU are refused in words", async () => {
    const inside = namespace();
    inside.ip("link add name a0 type veth peer name b0");
    await xdp(inside, { name: "a0" });
    await expect(xdp(inside, { name: "a0" })).rejects.toThrow("Another XDP program or socket has it");
    await expect(xdp(inside, { name: "nope" })).rejects.toThrow('"nope": no such device (ENODEV)');
    await expect(xdp(inside, { name: "b0", queue: 9 })).rejects.toThrow('"b0" has no queue 9: it has 1');
    inside.ip("link add name c0 mtu 9000 type veth peer name d0 mtu 9000");
    await expect(xdp(inside, { name: "c0" })).rejects.toThrow("MTU of 9000: at most 3826");
  });

  test("a queue is free again once its interface is closed", async () => {
    const inside = namespace();
    inside.ip("link add name a0 type veth peer name b0");
    for (let round = 0; round < 3; round++) {
      const netif = await xdp(inside, { name: "a0" });
      await netif.close();
    }
  });
});
