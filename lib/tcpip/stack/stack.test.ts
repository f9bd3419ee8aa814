import { IpAddress, MacAddress, Prefix } from "@tesserae/device/address";
import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { stackSuite } from "@tesserae/conformance/stack";
import { type StackPair, tcpSuite } from "@tesserae/conformance/tcp";
import { udpSuite } from "@tesserae/conformance/udp";
import { Skipped } from "@tesserae/conformance/suite";
import { createLink } from "@tesserae/netif/link";
import { Lan } from "@tesserae/netif/lan";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { runVirtual } from "@tesserae/time/virtual-run";
import { describe, expect, test } from "vitest";
import { createStack, type IpStack } from "./stack.ts";

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
const addressOfA = IpAddress.parse("10.0.0.1");
const addressOfB = IpAddress.parse("10.0.0.2");

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
  const make = (netif: typeof link.a, address: string, seed: number): Promise<IpStack> =>
    createStack({
      netif,
      timers,
      random: new SeededRandom(seed),
      ipv4: { kind: "static", address: Prefix.parse(address) },
      onError,
    });
  const a = await drive(make(link.a, "10.0.0.1/24", 1));
  const b = await drive(make(link.b, "10.0.0.2/24", 2));
  return { a, b, addressOfB, timers, silent: IpAddress.parse("10.0.0.99") };
}

describe.each([
  ["Udp", udpSuite],
  ["Tcp", tcpSuite],
  ["Stack", stackSuite],
])("the contract of %s, over two stacks and a link", (_, suite) => {
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

describe("createStack", () => {
  test("hosts ping each other, themselves and nobody", async () => {
    const world = setup();
    const { a, b } = await pair(world);
    // A question and its answer with ARP, then the echo: one millisecond each way.
    expect(await world.drive(a.icmp.ping(addressOfB))).toBe(4);
    expect(await world.drive(b.icmp.ping(addressOfA))).toBe(2);
    expect(await world.drive(a.icmp.ping(addressOfB, { size: 20_000 }))).toBe(2);
    expect(await world.drive(a.icmp.ping(addressOfA))).toBe(0);
    expect(await world.drive(a.icmp.ping(IpAddress.loopback4, { size: 4000 }))).toBe(0);
    await expect(world.drive(a.icmp.ping(IpAddress.parse("10.0.0.9")))).rejects.toMatchObject({ kind: "unreachable" });
    await expect(world.drive(a.icmp.ping(IpAddress.parse("192.0.2.1")))).rejects.toMatchObject({
      kind: "unreachable",
    });
  });

  test("a static address in use is refused when it is probed", async () => {
    const world = setup();
    const lan = new Lan({ timers: world.timers });
    const make = (name: string, low: number) =>
      createStack({
        netif: lan.attach({ name, mac: new MacAddress(0x0200, low) }),
        timers: world.timers,
        random: new SeededRandom(low),
        ipv4: { kind: "static", address: Prefix.parse("10.0.0.5/24"), probe: true },
      });
    const first = await world.drive(make("first", 1));
    expect(first.addresses.map(String)).toEqual(["10.0.0.5"]);
    await expect(world.drive(make("second", 2))).rejects.toMatchObject({ kind: "address-in-use" });
    expect(await world.drive(first.icmp.ping(IpAddress.parse("10.0.0.5")))).toBe(0);
  });

  test("an abort ends the wait for an address", async () => {
    const world = setup();
    for (const ipv4 of [
      { kind: "dhcp" } as const,
      { kind: "static", address: Prefix.parse("10.0.0.5/24"), probe: true } as const,
    ]) {
      const { a } = createLink({ timers: world.timers });
      const controller = new AbortController();
      const stack = createStack({
        netif: a,
        timers: world.timers,
        random: new SeededRandom(1),
        ipv4,
        signal: controller.signal,
      });
      world.timers.timer(() => controller.abort()).set(world.clock.now() + 500);
      await expect(world.drive(stack)).rejects.toMatchObject({ kind: "aborted" });
      expect(world.timers.pending).toBe(0);
    }
  });

  test.each([
    ["0.0.0.0/8", undefined],
    ["127.0.0.1/8", undefined],
    ["10.0.0.255/24", undefined],
    ["224.0.0.1/4", undefined],
    ["fd00::2/64", undefined],
    ["10.0.0.2/24", "10.0.1.1"],
    ["10.0.0.2/24", "10.0.0.2"],
  ])("refuses the address %s with the router %s", async (address, gateway) => {
    const { timers } = setup();
    const ipv4 = {
      kind: "static",
      address: Prefix.parse(address),
      gateway: gateway === undefined ? undefined : IpAddress.parse(gateway),
    } as const;
    const stack = createStack({ netif: createLink({ timers }).a, timers, random: new SeededRandom(1), ipv4 });
    await expect(stack).rejects.toThrow(/^ipv4\./);
  });

  test("a closed stack holds no timer and no page, and sends nothing", async () => {
    const world = setup();
    const { a, b } = await pair(world);
    const socket = await a.udp.bind({}, () => undefined);
    expect(socket.send(new Uint8Array(4000), 0, 4000, IpAddress.parse("10.0.0.77"), 9)).toBe(true);
    const ping = expect(a.icmp.ping(IpAddress.parse("10.0.0.78"))).rejects.toMatchObject({ kind: "aborted" });
    await Promise.all([a.close(), a.close(), b.close()]);
    await ping;
    expect(socket.send(new Uint8Array(1), 0, 1, addressOfB, 9)).toBe(false);
    // What was on the cable arrives at nobody.
    world.clock.advanceTo(world.clock.now() + 1);
    world.timers.run();
    expect(world.timers.pending).toBe(0);
    expect(a.addresses).toEqual([]);
  });
});
