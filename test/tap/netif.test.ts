import type { Netif } from "@tesserae/device/netif";
import { headroom } from "@tesserae/device/page";
import { Prefix } from "@tesserae/device/address";
import { netifSuite } from "@tesserae/conformance/netif";
import { createTimers } from "@tesserae/node/timers";
import { loadCalls } from "@tesserae/tap/libc";
import { openNetif, type TapOptions } from "@tesserae/tap/netif";
import { afterEach, describe, expect, test } from "vitest";
import { Namespace, unavailable } from "../namespace/namespace.ts";

const reason = unavailable("ping");
const open: { close(): Promise<void> | void }[] = [];

afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

function namespace(): Namespace {
  const made = Namespace.create();
  open.push({ close: () => made.destroy() });
  return made;
}

async function tap(within: Namespace, options: TapOptions): Promise<Netif> {
  const calls = await loadCalls();
  const netif = await within.inside(() => openNetif(calls, options));
  open.push(netif);
  return netif;
}

describe.skipIf(reason !== undefined)(`tap devices${reason === undefined ? "" : ` (${reason})`}`, () => {
  describe.each([
    [1500, true, true],
    [9000, true, false],
    [1500, false, true],
    [1500, false, false],
  ])("two on a bridge keep the contract of Netif, MTU %i, offload %s, io_uring %s", (mtu, offload, uring) => {
    for (const each of netifSuite) {
      test(each.name, async () => {
        const inside = namespace();
        inside.ip("link add name br0 type bridge forward_delay 0 mcast_snooping 0");
        const a = await tap(inside, { name: "a0", mtu, offload, uring, pages: 64 });
        const b = await tap(inside, { name: "b0", mtu, offload, uring, pages: 64 });
        inside.ip(`link set dev br0 mtu ${mtu}`);
        inside.ip("link set dev a0 master br0");
        inside.ip("link set dev b0 master br0");
        inside.ip("link set dev br0 up");
        const timers = createTimers();
        open.push(timers);
        await each.run({ a, b, timers });
      });
    }
  });

  test("the kernel's side gets the address, the MTU and the queue asked for, and is up", async () => {
    const inside = namespace();
    const hostAddress = Prefix.parse("10.1.0.1/20");
    const netif = await tap(inside, { name: "t0", mtu: 65_521, hostAddress, queue: 5000 });
    expect(netif.mtu).toBe(65_521);
    const [link] = JSON.parse(inside.run("ip", ["-json", "address", "show", "dev", "t0"])) as Record<string, unknown>[];
    expect(link).toMatchObject({ mtu: 65_521, txqlen: 5000, addr_info: [{ local: "10.1.0.1", prefixlen: 20 }] });
    expect(link?.["flags"]).toContain("UP");
  });

  test("a device in use, a foreign interface and a bad name are refused in words", async () => {
    const inside = namespace();
    await tap(inside, { name: "t0" });
    await expect(tap(inside, { name: "t0" })).rejects.toThrow('tap device "t0" is in use by another process');
    inside.ip("link add name v0 type veth peer name v1");
    await expect(tap(inside, { name: "v0" })).rejects.toThrow('"v0" is an interface, but no tap device');
    await expect(tap(inside, { name: "a/b" })).rejects.toThrow(RangeError);
    await expect(tap(inside, { name: "sixteen-letters!" })).rejects.toThrow(RangeError);
    await expect(tap(inside, { name: "t1", mtu: 500 })).rejects.toThrow("mtu 500");
    await expect(tap(inside, { name: "t2", queue: 0 })).rejects.toThrow("queue 0 is not an integer from 1 to 100000");
  });

  test("a device is free again as soon as it is closed", async () => {
    const inside = namespace();
    for (let round = 0; round < 20; round++) {
      const netif = await tap(inside, { name: "t0", hostAddress: Prefix.parse("10.1.0.1/24") });
      netif.listen(() => undefined);
      if (round % 2 === 1) await inside.ran("ping", ["-c", "1", "-W", "0.01", "10.1.0.2"]);
      await netif.close();
    }
  });

  test("our address follows from the kernel's: a device that stays keeps it", async () => {
    const inside = namespace();
    inside.ip("tuntap add dev t0 mode tap");
    const first = await tap(inside, { name: "t0" });
    await first.close();
    const second = await tap(inside, { name: "t0" });
    expect(second.mac.toString()).toBe(first.mac.toString());
    expect(second.mac.isGroup).toBe(false);
  });

  test("a promise settled by a frame goes on without another event", async () => {
    const inside = namespace();
    const netif = await tap(inside, { name: "t0", hostAddress: Prefix.parse("10.1.0.1/24") });
    const arrived = new Promise<number>((resolve) => {
      netif.listen((page, offset) => {
        const etherType = ((page.bytes[offset + 12] ?? 0) << 8) | (page.bytes[offset + 13] ?? 0);
        if (etherType === 0x0806) resolve(etherType);
      });
    });
    void inside.ran("ping", ["-c", "1", "-W", "1", "10.1.0.2"]);
    expect(await arrived).toBe(0x0806);
  });

  test("a deleted device is reported once, and the process does not spin", async () => {
    const inside = namespace();
    const reported: string[] = [];
    const netif = await tap(inside, { name: "t0", onDead: (error) => void reported.push(error.message) });
    inside.ip("link delete dev t0");
    await new Promise((resolve) => void setTimeout(resolve, 50));
    expect(reported).toEqual(['"t0" is gone: no frame comes any more']);
    const page = netif.allocate()!;
    expect(netif.transmit(page, headroom, 60)).toBe(false);
  });
});
