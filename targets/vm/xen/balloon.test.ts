import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { connectInMemory } from "@tesserae/xenstore/in-memory";
import { XenstoreServer } from "@tesserae/xenstore/server";
import fc from "fast-check";
import { expect, test } from "vitest";
import { followTarget } from "./balloon.ts";

const home = "/local/domain/5";
const mib = 1024;

/** A domain of 512 MiB, of which `free` blocks of 2 MiB are free, and its toolstack. */
async function domainWith(free: number, nodes: Readonly<Record<string, string>>) {
  const clock = new VirtualClock();
  const timers = new Scheduler(clock);
  const server = new XenstoreServer({ timers });
  const toolstack = connectInMemory(server, { kind: "local" }).client;
  await toolstack.write(`${home}/control/feature-balloon`, "");
  await toolstack.setPermissions(`${home}/control/feature-balloon`, ["n5"]);
  for (const [name, value] of Object.entries(nodes)) await toolstack.write(`${home}/memory/${name}`, value);
  await toolstack.setPermissions(home, ["n0", "r5"]);
  for (const name of ["memory", ...Object.keys(nodes).map((each) => `memory/${each}`)])
    await toolstack.setPermissions(`${home}/${name}`, ["n0", "r5"]);
  const asked: number[] = [];
  const short: number[] = [];
  const machine = { free, without: 0 };
  const { client } = connectInMemory(server, { kind: "domain", domain: 5 });
  const stop = await followTarget({
    domain: { xenstore: client },
    timers,
    balloon: {
      doWithout: (blocks) => {
        asked.push(blocks);
        return (machine.without = Math.min(blocks, machine.free));
      },
    },
    onShort: (kib) => short.push(kib),
  });
  /** Lets all happen that does by then. */
  const pass = async (milliseconds: number): Promise<void> => {
    const until = clock.now() + milliseconds;
    for (let turns = 0; turns < 1000; turns++) {
      await new Promise((resolve) => setImmediate(resolve));
      const next = timers.nextDeadline();
      if (next > until) break;
      clock.advanceTo(Math.max(next, clock.now()));
      timers.run();
    }
    clock.advanceTo(until);
  };
  const want = async (text: string): Promise<void> => {
    await toolstack.write(`${home}/memory/target`, text);
    await pass(0);
  };
  return { toolstack, machine, asked, short, stop, pass, want };
}

test("what the toolstack wants back is given, some at a time, and taken again", async () => {
  const { toolstack, machine, asked, want, pass, stop } = await domainWith(200, {
    "static-max": String(512 * mib),
    target: String(512 * mib),
  });
  expect(await toolstack.readText(`${home}/control/feature-balloon`)).toBe("1");
  await pass(0);
  expect(asked).toEqual([]);
  await want(String(400 * mib));
  expect(asked).toEqual([16, 32, 48, 56]);
  await want(String(511 * mib));
  expect(asked.slice(4)).toEqual([40, 24, 8, 0]);
  await stop();
  await want(String(400 * mib));
  expect(machine.without).toBe(0);
});

test("a domain that starts with less than it may have gives the rest at once", async () => {
  const { machine, pass } = await domainWith(200, { "static-max": String(512 * mib), target: String(256 * mib) });
  await pass(0);
  expect(machine.without).toBe(128);
});

test("what is in use is said once, and given when it is free", async () => {
  const { machine, short, want, pass } = await domainWith(20, { "static-max": String(512 * mib), target: "524288" });
  await want(String(412 * mib));
  expect([machine.without, short]).toEqual([20, [30 * 2 * mib]]);
  await pass(20_000);
  expect([machine.without, short.length]).toEqual([20, 1]);
  machine.free = 100;
  await pass(5_000);
  expect([machine.without, short.length]).toEqual([50, 1]);
});

test("property: whatever the nodes say, the domain does without no more than they make sense for", async () => {
  const text = fc.oneof(fc.string({ maxLength: 20 }), fc.nat(2 ** 30).map(String));
  await fc.assert(
    fc.asyncProperty(text, fc.array(text, { maxLength: 5 }), async (all, targets) => {
      const { machine, want, pass } = await domainWith(100, { "static-max": all, target: "" });
      for (const each of targets) {
        await want(each);
        await pass(0);
        const most = /^\d{1,12}$/.test(all) ? Number(all) : 0;
        const wanted = /^\d{1,12}$/.test(each) ? Number(each) : 0;
        const blocks = wanted === 0 ? 0 : Math.max(0, Math.floor((most - wanted) / 2048));
        expect(machine.without).toBe(Math.min(100, blocks));
      }
    }),
    { numRuns: 50 },
  );
});
