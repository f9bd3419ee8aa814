import { IpAddress, Prefix } from "@tesserae/device/address";
import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { stackSuite } from "@tesserae/conformance/stack";
import { Skipped } from "@tesserae/conformance/suite";
import { type StackPair, tcpSuite } from "@tesserae/conformance/tcp";
import { udpSuite } from "@tesserae/conformance/udp";
import { createLink } from "@tesserae/netif/link";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { runVirtual } from "@tesserae/time/virtual-run";
import { describe, expect, test } from "vitest";
import { createStack, type IpStack } from "./stack.ts";

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
const addressOfA = IpAddress.parse("fd00::1");
const addressOfB = IpAddress.parse("fd00::2");

function setup() {
  const clock = new VirtualClock();
  const errors: unknown[] = [];
  const timers = new Scheduler(clock, { onError: (error) => errors.push(error) });
  const drive = <T>(promise: Promise<T>): Promise<T> => runVirtual({ clock, schedulers: [timers], turn }, promise);
  return { clock, timers, errors, drive };
}

async function pair(world: ReturnType<typeof setup>): Promise<StackPair & { a: IpStack; b: IpStack }> {
  const { timers, errors, drive } = world;
  const link = createLink({ timers, delay: 1 });
  const onError = (error: unknown): void => void errors.push(error);
  const make = (netif: typeof link.a, last: number): Promise<IpStack> =>
    createStack({
      netif,
      timers,
      random: new SeededRandom(last),
      ipv4: { kind: "static", address: Prefix.parse(`10.0.0.${last}/24`) },
      ipv6: { kind: "static", address: Prefix.parse(`fd00::${last}/64`) },
      onError,
    });
  const a = await drive(make(link.a, 1));
  const b = await drive(make(link.b, 2));
  return { a, b, addressOfB, timers, silent: IpAddress.parse("fd00::99") };
}

describe.each([
  ["Udp", udpSuite],
  ["Tcp", tcpSuite],
  ["Stack", stackSuite],
])("the contract of %s, over IPv6", (_, suite) => {
  for (const each of suite) {
    test(each.name, async (context) => {
      const world = setup();
      const subject = await pair(world);
      try {
        await world.drive(each.run(subject));
      } catch (error) {
        if (error instanceof Skipped) return context.skip(error.message);
        throw error;
      }
      expect(world.errors.filter((error) => !/deliberately/.test(String(error)))).toEqual([]);
    });
  }
});

describe("createStack with IPv6", () => {
  test("hosts ping each other, themselves and nobody", async () => {
    const world = setup();
    const { a, b } = await pair(world);
    const icmpA = a.icmp6!;
    // A question and its answer, then the echo: one millisecond each way.
    expect(await world.drive(icmpA.ping(addressOfB))).toBe(4);
    expect(await world.drive(b.icmp6!.ping(addressOfA))).toBe(2);
    expect(await world.drive(icmpA.ping(addressOfB, { size: 20_000 }))).toBe(2);
    expect(await world.drive(icmpA.ping(addressOfA))).toBe(0);
    expect(await world.drive(icmpA.ping(IpAddress.loopback6, { size: 4000 }))).toBe(0);
    await expect(world.drive(icmpA.ping(IpAddress.parse("fd00::9")))).rejects.toMatchObject({ kind: "unreachable" });
    await expect(world.drive(icmpA.ping(IpAddress.parse("2001:db8::1")))).rejects.toMatchObject({
      kind: "unreachable",
    });
    const linkLocal = b.ipv6!.addresses.at(-1)!;
    expect(linkLocal.toString()).toMatch(/^fe80::/);
    expect(await world.drive(icmpA.ping(linkLocal))).toBe(4);
    expect(a.addresses.map(String)).toEqual(["10.0.0.1", "fd00::1"]);
  });

  test("RFC 4007: with two interfaces a link-local address is of the one that is named", async () => {
    const world = setup();
    const { timers } = world;
    const links = [createLink({ timers, delay: 1 }), createLink({ timers, delay: 1 })];
    const ipv6 = (last: number) => ({ kind: "static", address: Prefix.parse(`fd00:${last}::1/64`) }) as const;
    const middle = await world.drive(
      createStack({
        interfaces: links.map(({ a }, index) => ({ netif: a, ipv6: ipv6(index) })),
        timers,
        random: new SeededRandom(9),
      }),
    );
    const ends = await Promise.all(
      links.map(({ b }, index) =>
        world.drive(
          createStack({ interfaces: [{ netif: b, ipv6: ipv6(index + 5) }], timers, random: new SeededRandom(index) }),
        ),
      ),
    );
    for (const [index, end] of ends.entries()) {
      const seen: string[] = [];
      await end.tcp.listen({ port: 80 }, async (flow) => {
        seen.push(flow.remote.address.toString());
        await flow.close();
      });
      const address = end.ipv6!.addresses.at(-1)!;
      const flow = await world.drive(middle.tcp.connect({ address, port: 80, interface: index + 1 }));
      await world.drive(flow.close());
      const own = middle
        .ipv6!.interface(index + 1)
        .addresses.at(-1)!
        .address.toString();
      expect(own).toMatch(/^fe80::/);
      expect(seen).toEqual([own]);
    }
    await Promise.all([middle, ...ends].map((each) => world.drive(each.close())));
  });

  test("a static address in use is refused when it is probed", async () => {
    const world = setup();
    const { timers } = world;
    const link = createLink({ timers, delay: 1 });
    const make = (netif: typeof link.a, seed: number) =>
      createStack({
        netif,
        timers,
        random: new SeededRandom(seed),
        ipv4: { kind: "static", address: Prefix.parse(`10.0.0.${seed}/24`) },
        ipv6: { kind: "static", address: Prefix.parse("fd00::5/64"), probe: true },
      });
    const first = await world.drive(make(link.a, 1));
    expect(first.addresses.map(String)).toEqual(["10.0.0.1", "fd00::5"]);
    await expect(world.drive(make(link.b, 2))).rejects.toMatchObject({ kind: "address-in-use" });
    expect(world.clock.now()).toBeLessThan(6000);
  });

  test.each([
    ["10.0.0.1/24", undefined],
    ["::1/128", undefined],
    ["ff02::5/64", undefined],
    ["::ffff:10.0.0.1/96", undefined],
    ["fd00::1/64", "fd01::1"],
    ["fd00::1/64", "fd00::1"],
  ])("refuses the address %s with the router %s", async (address, gateway) => {
    const { timers } = setup();
    const stack = createStack({
      netif: createLink({ timers }).a,
      timers,
      random: new SeededRandom(1),
      ipv4: { kind: "static", address: Prefix.parse("10.0.0.1/24") },
      ipv6: {
        kind: "static",
        address: Prefix.parse(address),
        gateway: gateway === undefined ? undefined : IpAddress.parse(gateway),
      },
    });
    await expect(stack).rejects.toThrow(/^ipv6\./);
  });

  test("a closed stack holds no timer and no page, and sends nothing", async () => {
    const world = setup();
    const { a, b } = await pair(world);
    const socket = await a.udp.bind({}, () => undefined);
    expect(socket.send(new Uint8Array(4000), 0, 4000, IpAddress.parse("fd00::77"), 9)).toBe(true);
    const ping = expect(a.icmp6!.ping(IpAddress.parse("fd00::78"))).rejects.toMatchObject({ kind: "aborted" });
    await Promise.all([a.close(), a.close(), b.close()]);
    await ping;
    expect(socket.send(new Uint8Array(1), 0, 1, addressOfB, 9)).toBe(false);
    world.clock.advanceTo(world.clock.now() + 1);
    world.timers.run();
    expect(world.timers.pending).toBe(0);
    expect(a.addresses).toEqual([]);
  });
});
