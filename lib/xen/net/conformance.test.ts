import { type NetifPair, netifSuite } from "@tesserae/conformance/netif";
import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { Scheduler } from "@tesserae/time/scheduler";
import { runVirtual } from "@tesserae/time/virtual-run";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { describe, expect, test } from "vitest";
import { SimulatedMachine } from "../simulation/machine.ts";
import { Toolstack } from "../simulation/toolstack.ts";
import { connectVif } from "../simulation/vif.ts";
import type { NetbackOptions } from "./netback.ts";
import type { NetfrontOptions } from "./netfront.ts";

interface Setup {
  readonly title: string;
  readonly front?: NetfrontOptions;
  readonly back?: Omit<NetbackOptions, "onConnect">;
  readonly mtu?: number;
  readonly latency?: number;
}

/** A guest with an interface, and another domain with its other end. Afterwards nothing of it is left. */
async function withPair(setup: Setup, run: (pair: NetifPair) => Promise<void>): Promise<void> {
  const clock = new VirtualClock({ origin: 1_700_000_000_000 });
  const errors: unknown[] = [];
  const timers = new Scheduler(clock, { onError: (error) => errors.push(error) });
  const random = new SeededRandom(1);
  const latency = (): number => setup.latency ?? 0;
  const machine = new SimulatedMachine({ timers, random, latency });
  const main = async (): Promise<void> => {
    const guest = await machine.createDomain();
    const driver = await machine.createDomain();
    const toolstack = new Toolstack(machine);
    const before = machine.audit;
    const vif = await connectVif({ toolstack, guest, driver, ...setup });
    const { front: a, back: b } = vif;
    await run({ a, b, timers });
    await a.close();
    await vif.server.close();
    await toolstack.detach(vif.device);
    expect(machine.audit).toEqual(before);
    expect(errors).toEqual([]);
  };
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
  await runVirtual({ clock, schedulers: [timers], turn }, main());
}

const setups: readonly Setup[] = [
  { title: "as by default" },
  {
    title: "without offloads, and few pages",
    front: { offload: false, pages: 16 },
    back: { offload: false, pages: 16 },
  },
  { title: "with an MTU of 9000", mtu: 9000 },
  { title: "with four queues, and events that take time", front: { queues: 4 }, latency: 0.3 },
];

for (const setup of setups) {
  describe(`conformance of front and back end ${setup.title}`, () => {
    for (const each of netifSuite) {
      test(`${each.name}, from the front`, () => withPair(setup, (pair) => each.run(pair)));
      test(`${each.name}, from the back`, () =>
        withPair(setup, ({ a, b, timers }) => each.run({ a: b, b: a, timers })));
    }
  });
}
