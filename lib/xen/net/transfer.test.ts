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
  readonly device: Device;
  readonly address4: IpAddress;
  readonly address6: IpAddress;
}

async function createGuest(world: World, driver: SimulatedDomain, options: NetfrontOptions = {}): Promise<Guest> {
  const domain = await world.machine.createDomain();
  const device = await world.toolstack.attach(vifNodes(domain, driver));
  const netif = await createNetfront(domain, device.frontPath, options);
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

/** Sends both ways at a time; `halfway` is called when a part has arrived. */
async function exchange(
  from: Guest,
  to: IpAddress,
  server: IpStack,
  length: number,
  halfway?: () => void,
): Promise<void> {
  const there = bytes(length, 1);
  const back = bytes(length, 2);
  const serve = async (flow: Flow): Promise<Uint8Array> => {
    const [all] = await Promise.all([readAll(flow), flow.write(back).then(() => flow.end())]);
    await flow.close();
    return all;
  };
  const received = new Promise<Uint8Array>((resolve) => {
    void server.tcp.listen({ port: 80 }, (flow) => resolve(serve(flow)));
  });
  const flow = await from.stack.tcp.connect({ address: to, port: 80 });
  halfway?.();
  const [answer] = await Promise.all([readAll(flow), flow.write(there).then(() => flow.end())]);
  await flow.close();
  expect(Buffer.compare(answer, back)).toBe(0);
  expect(Buffer.compare(await received, there)).toBe(0);
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
          await exchange(a, version === 4 ? b.address4 : b.address6, b.stack, 2_000_000);
          const { sentFrames, sentBytes } = a.netif.statistics;
          // Frames of several segments were passed on whole: otherwise they would be 1,514 bytes at most.
          if (offload) expect(sentBytes / sentFrames).toBeGreaterThan(1600);
          await close(a, b);
          await ends.close();
        }));
    }
  }
});
