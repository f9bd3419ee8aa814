import { IpAddress } from "@tesserae/device/address";
import type { Timers } from "@tesserae/device/clock";
import type { Random } from "@tesserae/device/random";
import { consoleSuite } from "@tesserae/conformance/console";
import { netifSuite } from "@tesserae/conformance/netif";
import { randomSuite } from "@tesserae/conformance/random";
import { resolverSuite } from "@tesserae/conformance/resolver";
import { stackSuite } from "@tesserae/conformance/stack";
import { Skipped, type Case, type Suite } from "@tesserae/conformance/suite";
import { tcpSuite, type StackPair } from "@tesserae/conformance/tcp";
import { timersSuite } from "@tesserae/conformance/timers";
import { udpSuite } from "@tesserae/conformance/udp";
import { describe, expect, test } from "vitest";
import type { Host } from "./host.ts";
import type { LinkSettings } from "./link-settings.ts";
import { createWorld, type World } from "./world.ts";

const silent = IpAddress.parse("10.0.77.77");

/** Runs one case between two hosts of a world; throws what the case throws. */
async function runCase(each: Case<StackPair>, link: LinkSettings, settled: boolean): Promise<void> {
  const reported: unknown[] = [];
  const world = createWorld({ seed: each.name, link, report: (error) => reported.push(error) });
  const a = world.host("a");
  const b = world.host("b");
  let outcome: { readonly error: unknown } | undefined;
  world.task(each.name, async () => {
    await Promise.all([a.ready, b.ready]);
    if (settled) await neighbours(a, b);
    const subject = { a: a.stack, b: b.stack, addressOfB: b.address, timers: world.timers, silent };
    await each.run(subject).catch((error: unknown) => {
      outcome = { error };
    });
  });
  await world.run();
  await world.close();
  if (outcome !== undefined) throw outcome.error;
  expect(reported.filter((error) => !String(error).includes("deliberately"))).toEqual([]);
}

/** Lets ARP get through: a connection gives up when its neighbour does not answer three times. */
async function neighbours(a: Host, b: Host): Promise<void> {
  for (let attempt = 0; attempt < 20; attempt++) {
    try {
      await a.ownStack.icmp.ping(b.address, { timeout: 1000 });
      return;
    } catch (error) {
      if (attempt === 19) throw error;
    }
  }
}

/** A reset is sent once, and nobody acknowledges it: when it is lost, the peer learns of it from nothing. */
const needsReset = /abort|reset/i;

function suite(cases: readonly Case<StackPair>[], link: LinkSettings, settled = false): void {
  for (const each of cases) {
    test(each.name, async (context) => {
      try {
        await runCase(each, link, settled);
      } catch (error) {
        if (error instanceof Skipped) context.skip(error.message);
        throw error;
      }
    });
  }
}

describe("the contract of Udp, between two hosts", () => suite(udpSuite, {}));
describe("the contract of Tcp, between two hosts", () => suite(tcpSuite, {}));
describe("the contract of Stack, between two hosts", () => suite(stackSuite, {}));
describe("the contract of Tcp, with 5 % loss", () => {
  const cases = tcpSuite.filter((each) => !needsReset.test(each.name));
  suite(cases, { loss: 0.05, delay: 5 }, true);
});

/** Runs the cases of a suite, each in a world of its own. */
function eachInWorld<Subject>(cases: Suite<Subject>, subject: (world: World) => Subject | Promise<Subject>): void {
  for (const each of cases) {
    test(each.name, async (context) => {
      let skipped: string | undefined;
      const world = createWorld({ seed: each.name, report: () => undefined });
      world.task(each.name, async () => {
        try {
          await each.run(await subject(world));
        } catch (error) {
          if (!(error instanceof Skipped)) throw error;
          skipped = error.message;
        }
      });
      await world.run();
      await world.close();
      if (skipped !== undefined) context.skip(skipped);
    });
  }
}

describe("the contract of Timers", () => eachInWorld<Timers>(timersSuite, (world): Timers => world.host("a").timers));
describe("the contract of Timers, on a clock that is fast", () =>
  eachInWorld<Timers>(
    timersSuite,
    (world): Timers => world.host("a", { clock: { rate: 1.37, offset: -5000 } }).timers,
  ));
describe("the contract of Random", () => eachInWorld<Random>(randomSuite, (world): Random => world.host("a").random));
describe("the contract of Resolver", () =>
  eachInWorld(resolverSuite, (world) => {
    const host = world.host("known", { ipv4: "192.0.2.9/24" });
    return { resolver: host.resolver, known: { name: "known", address: host.address }, missing: "missing" };
  }));
describe("the contract of Console", () =>
  eachInWorld(consoleSuite, (world) => {
    const { console, timers } = world.host("a");
    return { console, timers, output: () => console.lines.map((line) => `${line}\n`).join("") };
  }));

describe("the contract of Netif, between two hosts", () =>
  eachInWorld(netifSuite, (world) => {
    const a = world.host("a", { stack: false });
    const b = world.host("b", { stack: false });
    world.link(a, b);
    return { a: a.netif, b: b.netif, timers: world.timers };
  }));
