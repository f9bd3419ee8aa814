import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { type IpAddress, Prefix } from "@tesserae/device/address";
import type { Flow } from "@tesserae/device/flow";
import { createStack, type IpStack } from "@tesserae/tcpip/stack/stack";
import { Scheduler } from "@tesserae/time/scheduler";
import { runVirtual } from "@tesserae/time/virtual-run";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { describe, expect, test } from "vitest";
import type { SimulatedDomain } from "../simulation/domain.ts";
import { SimulatedMachine } from "../simulation/machine.ts";
import { type Device, Toolstack } from "../simulation/toolstack.ts";
import { vifNodes } from "../simulation/vif.ts";
import { bridgeBackEnds } from "./bridge-back-ends.ts";
import { createNetfront, type Netfront, type NetfrontOptions } from "./netfront.ts";

interface World {
  readonly machine: SimulatedMachine;
  readonly toolstack: Toolstack;
  readonly timers: Scheduler;
  pause(ms: number): Promise<void>;
}

/** Runs with a machine; afterwards nothing that threw is left. */
async function withMachine(main: (world: World) => Promise<void>, latency = 0.05): Promise<void> {
  const clock = new VirtualClock({ origin: 1_700_000_000_000 });
  const errors: unknown[] = [];
  const timers = new Scheduler(clock, { onError: (error) => errors.push(error) });
  const machine = new SimulatedMachine({ timers, random: new SeededRandom(7), latency: () => latency });
  const pause = (ms: number): Promise<void> => new Promise((resolve) => timers.timer(resolve).set(timers.now() + ms));
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
  const toolstack = new Toolstack(machine);
  await runVirtual({ clock, schedulers: [timers], turn }, main({ machine, toolstack, timers, pause }));
  expect(errors).toEqual([]);
}

interface Guest {
  readonly domain: SimulatedDomain;
  readonly netif: Netfront;
  readonly stack: IpStack;
  device: Device;
  readonly address4: IpAddress;
  readonly address6: IpAddress;
}

async function createGuest(world: World, driver: SimulatedDomain, options: NetfrontOptions = {}): Promise<Guest> {
  const domain = await world.machine.createDomain();
  const device = await world.toolstack.attach(vifNodes(domain, driver));
  const netif = await createNetfront(domain, "device/vif/0", options);
  const address4 = Prefix.parse(`10.0.0.${String(domain.id)}/24`);
  const address6 = Prefix.parse(`fd00::${String(domain.id)}/64`);
  const stack = await createStack({
    netif,
    timers: domain.timers,
    random: new SeededRandom(domain.id),
    ipv4: { kind: "static", address: address4 },
    ipv6: { kind: "static", address: address6 },
  });
  return { domain, device, netif, stack, address4: address4.address, address6: address6.address };
}

async function readAll(flow: Flow): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  const buffer = new Uint8Array(65_536);
  for (;;) {
    const length = await flow.read(buffer);
    if (length === 0) return Buffer.concat(parts);
    parts.push(buffer.slice(0, length));
  }
}

function bytes(length: number, seed: number): Uint8Array {
  const all = new Uint8Array(length);
  new SeededRandom(seed).fill(all);
  return all;
}

const block = bytes(65_536, 1);

/** Writes blocks, at least so many, until `during` is done; then ends. Returns how many. */
async function writeBlocks(flow: Flow, least: number, world: World, during?: Promise<void>): Promise<number> {
  let isDone = during === undefined;
  void during?.finally(() => {
    isDone = true;
  });
  let count = 0;
  for (; count < least || !isDone; count++) {
    await flow.write(block);
    if (during !== undefined) await world.pause(10);
  }
  await flow.end();
  return count;
}

/** Sends both ways at a time, over one connection, and for as long as something is done. */
async function exchange(
  world: World,
  from: Guest,
  to: IpAddress,
  server: IpStack,
  least: number,
  during?: () => Promise<void>,
): Promise<void> {
  const started = { during: undefined as Promise<void> | undefined };
  const both = async (flow: Flow): Promise<{ sent: number; received: Uint8Array }> => {
    const [received, sent] = await Promise.all([readAll(flow), writeBlocks(flow, least, world, started.during)]);
    await flow.close();
    return { sent, received };
  };
  const there = new Promise<{ sent: number; received: Uint8Array }>((resolve) => {
    void server.tcp.listen({ port: 80 }, (flow) => resolve(both(flow)));
  });
  started.during = during?.();
  const here = await both(await from.stack.tcp.connect({ address: to, port: 80 }));
  for (const [{ sent }, { received }] of [[here, await there] as const, [await there, here] as const]) {
    expect(received.length).toBe(sent * block.length);
    for (let at = 0; at < received.length; at += block.length) {
      expect(Buffer.compare(received.subarray(at, at + block.length), block)).toBe(0);
    }
  }
  await started.during;
}

async function close(...guests: readonly Guest[]): Promise<void> {
  for (const { stack } of guests) await stack.close();
}

describe("two stacks over front ends, back ends and a bridge", () => {
  for (const version of [4, 6] as const) {
    for (const offload of [true, false]) {
      test(`IPv${String(version)}, offload ${String(offload)}`, () =>
        withMachine(async (world) => {
          const driver = await world.machine.createDomain();
          const ends = bridgeBackEnds(driver, { offload });
          const a = await createGuest(world, driver);
          const b = await createGuest(world, driver);
          expect(ends.directory.count).toBe(2);
          expect(a.netif.features).toEqual({
            transmitChecksum: offload,
            maxSegmentation: offload ? 65_441 : 0,
            segmentsIpv6: offload,
          });
          await exchange(world, a, version === 4 ? b.address4 : b.address6, b.stack, 30);
          const { sentFrames, sentBytes } = a.netif.statistics;
          // Frames of several segments were passed on whole: otherwise they would be 1,514 bytes at most.
          if (offload) expect(sentBytes / sentFrames).toBeGreaterThan(1600);
          await close(a, b);
          await ends.close();
        }));
    }
  }

  test("the driver domain dies in the middle, and another takes over: connections go on", () =>
    withMachine(async (world) => {
      const { machine, toolstack } = world;
      // The first domain brings the nodes above its own.
      await toolstack.destroy(await machine.createDomain());
      await world.pause(10);
      const before = machine.audit;
      const first = await machine.createDomain();
      bridgeBackEnds(first);
      const a = await createGuest(world, first);
      const b = await createGuest(world, first);
      const second = await machine.createDomain();
      const ends = bridgeBackEnds(second);
      const replace = async (): Promise<void> => {
        await world.pause(10);
        expect(a.netif.isConnected).toBe(true);
        await toolstack.destroy(first, [a.device, b.device].map(backOnly));
        expect(ends.directory.count).toBe(0);
        await world.pause(300);
        a.device = await toolstack.attach(vifNodes(a.domain, second));
        b.device = await toolstack.attach(vifNodes(b.domain, second));
        await world.pause(1000);
        expect([a.netif.isConnected, b.netif.isConnected, ends.directory.count]).toEqual([true, true, 2]);
      };
      await exchange(world, a, b.address4, b.stack, 1, replace);
      await close(a, b);
      await ends.close();
      for (const { domain, device } of [a, b]) await toolstack.destroy(domain, [device]);
      await toolstack.destroy(second);
      await world.pause(5000);
      expect(machine.audit).toEqual(before);
    }));

  test("back ends are closed in the middle and begin anew in the same domain: connections go on", () =>
    withMachine(async (world) => {
      const driver = await world.machine.createDomain();
      const before = world.machine.audit;
      let ends = bridgeBackEnds(driver);
      const a = await createGuest(world, driver);
      const b = await createGuest(world, driver);
      let restarts = 0;
      const restart = async (): Promise<void> => {
        for (; restarts < 3; restarts++) {
          await world.pause(10);
          await ends.close();
          await world.pause(100);
          for (const { device } of [a, b]) {
            await world.machine.control.xenstore.write(`${device.backPath}/state`, "1");
          }
          ends = bridgeBackEnds(driver);
        }
      };
      await exchange(world, a, b.address6, b.stack, 1, restart);
      expect(restarts).toBe(3);
      await close(a, b);
      await ends.close();
      for (const { domain, device } of [a, b]) await world.toolstack.destroy(domain, [device]);
      await world.pause(5000);
      expect(world.machine.audit).toEqual(before);
    }));

  test("a guest is saved in the middle, and restored with another number: connections go on", () =>
    withMachine(async (world) => {
      const { machine, toolstack } = world;
      const driver = await machine.createDomain();
      const ends = bridgeBackEnds(driver);
      const a = await createGuest(world, driver);
      const b = await createGuest(world, driver);
      const { id } = a.domain;
      const before = machine.audit;
      const mac = a.netif.mac.toString();
      const restore = async (): Promise<void> => {
        await world.pause(25);
        await toolstack.saveAndRestore(a.domain, [a.device], 3000, async () => {
          a.device = await toolstack.attach(vifNodes(a.domain, driver, { mac }));
        });
        await world.pause(1000);
      };
      await exchange(world, a, b.address4, b.stack, 1, restore);
      expect(a.domain.id).not.toBe(id);
      expect(a.netif.isConnected).toBe(true);
      await world.pause(100_000);
      expect(machine.audit).toEqual(before);
      await close(a, b);
      await ends.close();
    }));

  test("guests die in the middle, one after the other: the driver domain keeps nothing of them", () =>
    withMachine(async (world) => {
      const { machine, toolstack } = world;
      const driver = await machine.createDomain();
      const ends = bridgeBackEnds(driver);
      const server = await createGuest(world, driver);
      const failures: unknown[] = [];
      await server.stack.tcp.listen({ port: 80 }, async (flow) => {
        await readAll(flow).catch((error: unknown) => failures.push(error));
        flow.abort();
      });
      await world.pause(100);
      const before = machine.audit;
      for (let round = 0; round < 30; round++) {
        const guest = await createGuest(world, driver);
        const flow = await guest.stack.tcp.connect({ address: server.address4, port: 80 });
        void flow.write(bytes(500_000, round)).catch(() => undefined);
        await world.pause(1 + (round % 7));
        expect(ends.bridge.ports).toHaveLength(2);
        await toolstack.destroy(guest.domain, [guest.device]);
        await world.pause(200);
        expect(ends.bridge.ports).toHaveLength(1);
        expect(machine.audit).toEqual(before);
      }
      await exchangeOnce(world, server, driver);
      await close(server);
      await ends.close();
    }));
});

/** A guest that comes after all is served like the first. */
async function exchangeOnce(world: World, server: Guest, driver: SimulatedDomain): Promise<void> {
  const guest = await createGuest(world, driver);
  await exchange(world, server, guest.address4, guest.stack, 2);
  await close(guest);
}

/** A device of which only the back end's nodes are to be removed: the front end stays. */
function backOnly({ backPath }: Device): Device {
  return { frontPath: backPath, backPath };
}
