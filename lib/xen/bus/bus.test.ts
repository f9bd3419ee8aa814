import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { describe, expect, test } from "vitest";
import type { XenDomain } from "../domain.ts";
import type { EventChannel } from "../event-channel.ts";
import type { MappedPages, SharedPages } from "../grant.ts";
import { Reclaimer } from "../reclaim.ts";
import type { SimulatedDomain } from "../simulation/domain.ts";
import type { Device } from "../simulation/toolstack.ts";
import { inWorld as inAnyWorld, type World as AnyWorld } from "../simulation/world.ts";
import { type BackDriver, BackEnd } from "./back-end.ts";
import { type FrontDriver, FrontEnd, type FrontEndOptions } from "./front-end.ts";
import type { DeviceNodes, OtherEnd } from "./other-end.ts";
import { xenbusState } from "./state.ts";

/** A device that shares one page, in which the front end writes and the back end adds one. */
class PageFront implements FrontDriver {
  readonly published: typeof xenbusState.initialised | typeof xenbusState.connected;
  readonly log: string[] = [];
  pages: SharedPages | undefined;
  channel: EventChannel | undefined;
  reference = -1;
  readonly #domain: XenDomain;
  readonly reclaimer: Reclaimer;

  constructor(domain: XenDomain, published: typeof xenbusState.initialised | typeof xenbusState.connected) {
    this.published = published;
    this.#domain = domain;
    this.reclaimer = new Reclaimer(domain);
  }

  async connect(back: OtherEnd): Promise<DeviceNodes> {
    this.log.push(`feature ${String(await back.readInteger("feature-x", 0, 10, 0))}`);
    this.pages = this.#domain.allocate(1);
    this.reference = this.#domain.grants.grant(this.pages, 0, back.domain, "read-write");
    this.channel = this.#domain.events.allocate(back.domain, () => undefined);
    return { "ring-ref": this.reference, "event-channel": this.channel.port };
  }

  async begin(back: OtherEnd): Promise<void> {
    this.log.push(`begin ${(await back.read("property")) ?? ""}`);
  }

  disconnect(reason: Error & { kind: string }, isVoid: boolean, isOver: boolean): void {
    this.log.push(`disconnect ${reason.kind}${isVoid ? " void" : ""}${isOver ? " over" : ""}`);
    this.channel?.close();
    if (this.pages !== undefined) this.reclaimer.reclaim(this.pages, [this.reference]);
    this.channel = undefined;
    this.pages = undefined;
    if (isOver) this.reclaimer.close();
  }
}

class PageBack implements BackDriver {
  readonly log: string[] = [];
  mapped: MappedPages | undefined;
  channel: EventChannel | undefined;
  readonly #domain: XenDomain;

  constructor(domain: XenDomain) {
    this.#domain = domain;
  }

  features(): DeviceNodes {
    return { "feature-x": 7 };
  }

  async connect(front: OtherEnd): Promise<DeviceNodes> {
    const [reference, port] = await Promise.all([
      front.readInteger("ring-ref", 0, 0xffff_ffff),
      front.readInteger("event-channel", 0, 0xffff_ffff),
    ]);
    this.mapped = this.#domain.foreign.map(front.domain, [reference], "read-write");
    this.channel = this.#domain.events.bind(front.domain, port, () => undefined);
    this.log.push("connect");
    return { property: "round" };
  }

  disconnect(reason: Error & { kind: string }): void {
    this.log.push(`disconnect ${reason.kind}`);
    this.channel?.close();
    this.mapped?.unmap();
    this.channel = undefined;
    this.mapped = undefined;
  }
}

interface World extends AnyWorld {
  readonly front: SimulatedDomain;
  readonly back: SimulatedDomain;
  attach(back?: SimulatedDomain): Promise<Device>;
  state(path: string): Promise<string | undefined>;
}

function inWorld(body: (world: World) => Promise<void>, seed = 1): Promise<void> {
  const turn = (): Promise<void> => new Promise(setImmediate);
  return inAnyWorld(new SeededRandom(seed), turn, async (world) => {
    const { machine, tools } = world;
    const front = await machine.createDomain();
    const back = await machine.createDomain();
    await body({
      ...{ ...world, front, back },
      attach: (other = back) => tools.attach({ kind: "page", number: 0, front, back: other }),
      state: (path) => machine.control.xenstore.readIfThere(`${path}/state`),
    });
  });
}

function makeEnds(
  { front, back }: World,
  device: Device,
  published: 3 | 4 = xenbusState.initialised,
  options: FrontEndOptions = {},
) {
  const frontDriver = new PageFront(front, published);
  const backDriver = new PageBack(back);
  const frontEnd = new FrontEnd(front, "device/page/0", frontDriver, options);
  const backEnd = new BackEnd(back, device.backPath.split("/").slice(4).join("/"), backDriver);
  return { frontDriver, backDriver, frontEnd, backEnd };
}

const published = [xenbusState.initialised, xenbusState.connected] as const;

describe("a device", () => {
  for (const state of published) {
    test(`is connected, works, and is closed by its front end (which publishes its rings as state ${state})`, () =>
      inWorld(async (world) => {
        const before = world.machine.audit;
        const device = await world.attach();
        const { frontDriver, backDriver, frontEnd, backEnd } = makeEnds(world, device, state);
        await frontEnd.ready;
        await world.wait();
        expect(frontDriver.log).toEqual(["feature 7", "begin round"]);
        expect(await world.state(device.frontPath)).toBe("4");
        expect(await world.state(device.backPath)).toBe("4");
        frontDriver.pages!.bytes[9] = 1;
        expect(backDriver.mapped!.bytes[9]).toBe(1);
        await frontEnd.close();
        await world.wait();
        expect(frontDriver.log.at(-1)).toBe("disconnect closed over");
        expect(backDriver.log).toEqual(["connect", "disconnect gone"]);
        expect(await world.state(device.frontPath)).toBe("6");
        expect(await world.state(device.backPath)).toBe("6");
        await backEnd.close();
        await world.tools.detach(device);
        expect(world.machine.audit).toEqual(before);
      }));
  }

  test("may have its ends begun in any order, before or after the toolstack's nodes", () =>
    inWorld(async (world) => {
      const frontDriver = new PageFront(world.front, xenbusState.initialised);
      const frontEnd = new FrontEnd(world.front, "device/page/0", frontDriver);
      const backEnd = new BackEnd(world.back, `backend/page/${world.front.id}/0`, new PageBack(world.back));
      await world.wait();
      await world.attach();
      await frontEnd.ready;
      expect((await backEnd.close(), backEnd.reason?.kind)).toBe("closed");
      await world.wait();
      expect(frontDriver.log.at(-1)).toBe("disconnect gone");
    }));

  test("is let go by both ends when the toolstack detaches it", () =>
    inWorld(async (world) => {
      const before = world.machine.audit;
      const device = await world.attach();
      const { frontDriver, frontEnd, backEnd } = makeEnds(world, device);
      await frontEnd.ready;
      await world.tools.detach(device);
      expect((await frontEnd.over).message).toContain("device/page/0: the device was removed");
      expect((await backEnd.over).kind).toBe("gone");
      expect(frontDriver.log.at(-1)).toBe("disconnect gone over");
      await world.wait();
      expect(world.machine.audit).toEqual(before);
    }));

  test("goes on with another back end when the domain of the first is destroyed", () =>
    inWorld(async (world) => {
      const first = await world.attach();
      const said: string[] = [];
      const { frontDriver, frontEnd } = makeEnds(world, first, xenbusState.initialised, {
        onLost: (reason) => said.push(reason.message),
        onRegained: () => said.push("regained"),
      });
      await frontEnd.ready;
      expect(said).toEqual([]);
      await world.tools.destroy(world.back);
      await world.wait();
      expect(frontDriver.log.at(-1)).toBe("disconnect gone");
      expect(said).toEqual(["device/page/0: the back end is not there"]);
      const back = await world.machine.createDomain();
      const second = await world.attach(back);
      const driver = new PageBack(back);
      const backEnd = new BackEnd(back, second.backPath, driver);
      await world.wait();
      expect(frontEnd.isWorking).toBe(true);
      expect(backEnd.isConnected).toBe(true);
      expect(said.slice(1)).toEqual(["regained"]);
      expect(world.front.holdings).toEqual({ grants: 2, mappings: 0, channels: 2, pages: 2 });
    }));

  test("goes on when a back end begins anew in the same domain, with the rings that it finds", () =>
    inWorld(async (world) => {
      const device = await world.attach();
      const { frontDriver, backDriver, frontEnd } = makeEnds(world, device);
      await frontEnd.ready;
      // As if its program had died without a word.
      backDriver.disconnect(Object.assign(new Error(""), { kind: "gone" }));
      const again = new PageBack(world.back);
      new BackEnd(world.back, device.backPath, again);
      await world.wait();
      frontDriver.pages!.bytes[0] = 5;
      expect(again.mapped!.bytes[0]).toBe(5);
      expect(frontEnd.isWorking).toBe(true);
    }));

  test("serves a front end that comes back", () =>
    inWorld(async (world) => {
      const device = await world.attach();
      const { frontEnd, backEnd } = makeEnds(world, device);
      await frontEnd.ready;
      await frontEnd.close();
      await world.wait();
      const again = new FrontEnd(world.front, "device/page/0", new PageFront(world.front, xenbusState.initialised));
      await again.ready;
      expect(backEnd.isConnected).toBe(true);
    }));

  test("leaves nothing at the back end when the front end's domain is destroyed", () =>
    inWorld(async (world) => {
      const device = await world.attach();
      const { frontEnd, backEnd } = makeEnds(world, device);
      await frontEnd.ready;
      await world.tools.destroy(world.front, [device]);
      expect((await backEnd.over).kind).toBe("gone");
      await world.wait();
      expect(world.back.holdings).toEqual({ grants: 1, mappings: 0, channels: 1, pages: 1 });
      expect(world.machine.audit.zombies).toBe(0);
    }));
});

describe("an end that does not do its part", () => {
  test("is waited for only so long, and named", () =>
    inWorld(async (world) => {
      const device = await world.attach();
      const frontEnd = new FrontEnd(world.front, "device/page/0", new PageFront(world.front, xenbusState.initialised), {
        timeout: 3000,
      });
      await expect(frontEnd.ready).rejects.toThrow("device/page/0: the back end is initialising after 3000 ms");
      await world.wait();
      expect(await world.state(device.frontPath)).toBe("6");
    }));

  test("does not keep the other from closing: that takes five seconds then", () =>
    inWorld(async (world) => {
      const device = await world.attach();
      const { frontDriver, frontEnd, backDriver } = makeEnds(world, device);
      await frontEnd.ready;
      // It holds on to what it has, and takes nobody's word.
      backDriver.disconnect = () => undefined;
      const before = world.front.timers.now();
      await frontEnd.close();
      expect(world.front.timers.now() - before).toBeLessThan(5100);
      expect(frontDriver.log.at(-1)).toBe("disconnect closed over");
      expect(frontDriver.reclaimer.pending).toBe(1);
    }));

  test("and publishes what makes no sense is named; grants made meanwhile are taken back", () =>
    inWorld(async (world) => {
      const device = await world.attach();
      const backEnd = new BackEnd(world.back, device.backPath, new PageBack(world.back));
      await world.front.xenstore.write("device/page/0/ring-ref", "nonsense");
      await world.front.xenstore.write("device/page/0/state", "3");
      const reason = await backEnd.over;
      expect(reason.kind).toBe("protocol");
      expect(reason.message).toContain('ring-ref is "nonsense", not an integer from 0 to 4294967295');
      expect(await world.state(device.backPath)).toBe("6");
    }));

  test("of a reference that was not given is named", () =>
    inWorld(async (world) => {
      const device = await world.attach();
      const backEnd = new BackEnd(world.back, device.backPath, new PageBack(world.back));
      await world.front.xenstore.write("device/page/0/ring-ref", "4000");
      await world.front.xenstore.write("device/page/0/event-channel", "1");
      await world.front.xenstore.write("device/page/0/state", "3");
      expect((await backEnd.over).kind).toBe("bad-grant");
    }));
});

test("grants that the other end holds are taken back when it lets go", () =>
  inWorld(async (world) => {
    const pages = world.front.allocate(2);
    const references = [0, 1].map((page) => world.front.grants.grant(pages, page, world.back.id, "read-write"));
    const held = world.back.foreign.map(world.front.id, [references[1]!], "read-write");
    const reclaimer = new Reclaimer(world.front);
    reclaimer.reclaim(pages, references);
    expect(reclaimer.pending).toBe(1);
    await world.wait(1000);
    expect(reclaimer.pending).toBe(1);
    held.unmap();
    await world.wait(60_000);
    expect(reclaimer.pending).toBe(0);
    expect(world.front.holdings.pages).toBe(1);
  }));
