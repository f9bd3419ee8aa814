// Guests come, work and die, and so do the domains that serve them: nothing of them is left.
import process from "node:process";
import { createMemoryBlock } from "@tesserae/block/memory";
import { SeededRandom } from "@tesserae/conformance/seeded-random";
import type { Block } from "@tesserae/device/block";
import { expect, test } from "vitest";
import { serveBlock } from "../block/back.ts";
import { type BlockFront, connectBlock } from "../block/front.ts";
import { connectVchan } from "../vchan/connect.ts";
import { serveVchan } from "../vchan/serve.ts";
import { XenError } from "../xen-error.ts";
import type { SimulatedDomain } from "./domain.ts";
import type { Device } from "./toolstack.ts";
import { inWorld, type World } from "./world.ts";

const guests = Number(process.env["XEN_GUESTS"] ?? "1000");
const seed = Number(process.env["XEN_SEED"] ?? "1");
const turn = (): Promise<void> => new Promise(setImmediate);
const number = 51712;

interface Driver {
  domain: SimulatedDomain;
}

/** Ends a promise together with a guest that is destroyed: what it waits for never comes. */
function until(world: World, work: Promise<void>, ms: number): Promise<void> {
  return Promise.race([work.catch(() => undefined), world.wait(ms)]);
}

class Crowd {
  readonly #world: World;
  readonly #drivers: Driver[] = [];
  readonly #devices = new Map<Device, Driver>();
  readonly counts = { finished: 0, destroyed: 0, driversDestroyed: 0, wrong: 0 };

  constructor(world: World) {
    this.#world = world;
  }

  async start(): Promise<void> {
    for (let index = 0; index < 16; index++) {
      this.#drivers.push({ domain: await this.#world.machine.createDomain({ name: `driver-${index}` }) });
    }
  }

  #below(bound: number): number {
    return this.#world.random.uint32() % bound;
  }

  /** The life of one guest. */
  async guest(index: number): Promise<void> {
    const { machine, tools } = this.#world;
    await this.#world.wait(this.#below(2000));
    const driver = this.#drivers[index % this.#drivers.length]!;
    const domain = await machine.createDomain({ name: `guest-${index}` });
    const device = await this.#attach(domain, driver);
    this.#devices.set(device, driver);
    const lifetime = this.#below(400);
    const isKilled = this.#below(3) > 0;
    await until(this.#world, this.#work(domain, device, driver), isKilled ? lifetime : 20_000);
    this.#devices.delete(device);
    if (isKilled) this.counts.destroyed++;
    await tools.destroy(domain, [device]);
  }

  async #attach(front: SimulatedDomain, driver: Driver): Promise<Device> {
    for (;;) {
      const back = driver.domain;
      const attaching = this.#world.tools.attach({ kind: "vbd", number, front, back });
      const device = await attaching.catch((error: unknown) => {
        if (error instanceof XenError && error.kind === "no-domain") return undefined;
        throw error;
      });
      if (device === undefined) continue;
      if (back.isDestroyed || driver.domain !== back) {
        await this.#world.tools.remove(device);
        continue;
      }
      serveBlock(back, device.backPath, { block: createMemoryBlock({ sectors: 64 }), segments: 11, concurrency: 2 });
      return device;
    }
  }

  /** Writes and reads a disk, and speaks with the driver's domain over a vchan. */
  async #work(domain: SimulatedDomain, _: Device, driver: Driver): Promise<void> {
    const block = await connectBlock(domain, `device/vbd/${number}`, { pages: 8, segments: 8 });
    const path = `/local/domain/${driver.domain.id}/data/${domain.id}`;
    // The driver's domain may be destroyed by now.
    const echoing = this.#echo(driver.domain, domain.id, path).catch(() => undefined);
    for (let round = 0; round < 5; round++) await this.#checkDisk(block, round);
    const flow = await connectVchan(domain, { peer: driver.domain.id, path });
    await flow.write(new Uint8Array(300).fill(domain.id));
    await flow.end();
    const into = new Uint8Array(600);
    let count = 0;
    for (let got = await flow.read(into); got > 0; got = await flow.read(into)) count += got;
    if (count !== 300 || into[0] !== (domain.id & 255)) this.counts.wrong++;
    await flow.close();
    await echoing;
    await block.close();
    this.counts.finished++;
  }

  async #echo(domain: SimulatedDomain, peer: number, path: string): Promise<void> {
    const into = new Uint8Array(512);
    const flow = await serveVchan(domain, { peer, path, readSize: 1024, writeSize: 1024, linger: 500 });
    try {
      // A guest that dies without a word is not noticed otherwise.
      const late = this.#world.wait(3000).then(() => flow.abort());
      for (let got = await flow.read(into); got > 0; got = await flow.read(into)) await flow.write(into.slice(0, got));
      await flow.close();
      await late;
    } catch {
      flow.abort();
    }
  }

  async #checkDisk(block: BlockFront | Block, round: number): Promise<void> {
    const bytes = new Uint8Array(512 * (1 + this.#below(16))).fill(round + 1);
    const sector = this.#below(40);
    await block.write(sector, bytes);
    const into = new Uint8Array(bytes.length);
    await block.read(sector, into);
    // A disk in memory is gone with the domain that serves it; what was written after that is there.
    if (into.some((byte) => byte !== into[0])) this.counts.wrong++;
    await this.#world.wait(this.#below(30));
  }

  /** A driver domain dies, and another takes its place and its devices. */
  async killDriver(): Promise<void> {
    const { machine, tools } = this.#world;
    const driver = this.#drivers[this.#below(this.#drivers.length)]!;
    const before = driver.domain;
    driver.domain = await machine.createDomain();
    this.counts.driversDestroyed++;
    await tools.destroy(before, []);
    for (const [device, each] of [...this.#devices]) {
      if (each !== driver) continue;
      const id = Number(device.frontPath.split("/")[3]);
      const front = machine.domain(id);
      if (front === undefined || !this.#devices.has(device)) continue;
      const next = await tools.attach({ kind: "vbd", number, front, back: driver.domain });
      serveBlock(driver.domain, next.backPath, { block: createMemoryBlock({ sectors: 64 }), segments: 11 });
      if (!this.#devices.has(device)) await tools.remove(next);
      else Object.assign(device, next);
    }
  }

  async finish(): Promise<void> {
    for (const { domain } of this.#drivers) await this.#world.tools.destroy(domain, []);
  }
}

test(
  `${guests} guests come, work and die, with the domains that serve them: nothing is left (seed ${seed})`,
  { timeout: 600_000 },
  () =>
    inWorld(new SeededRandom(seed), turn, async (world) => {
      // The directory of all domains stays.
      await world.tools.destroy(await world.machine.createDomain());
      await world.wait();
      const before = world.machine.audit;
      const crowd = new Crowd(world);
      await crowd.start();
      const lives = Array.from({ length: guests }, (_, index) => crowd.guest(index));
      for (let round = 0; round < 6; round++) {
        await world.wait(300);
        await crowd.killDriver();
      }
      await Promise.all(lives);
      await world.wait(10_000);
      await crowd.finish();
      await world.wait(10_000);
      expect(world.machine.audit).toEqual(before);
      expect(crowd.counts.wrong).toBe(0);
      expect(crowd.counts.driversDestroyed).toBe(6);
      // Most of those that were let live have done all their work; a few had their disk change under them.
      expect(crowd.counts.finished).toBeGreaterThan(guests / 6);
      expect(crowd.counts.destroyed).toBeGreaterThan(guests / 2);
    }),
);
