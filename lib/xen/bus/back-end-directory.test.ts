// A driver domain does for its devices what a toolstack waits for (Xen: libxl waits for the state closed after `online`
// 0, and then for the removal of the back end's nodes).
import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { expect, test } from "vitest";
import type { SimulatedDomain } from "../simulation/domain.ts";
import { inWorld as inAnyWorld, type World as AnyWorld } from "../simulation/world.ts";
import { createNetfront } from "../net/netfront.ts";
import { bridgeBackEnds } from "../net/bridge-back-ends.ts";
import { vifNodes } from "../simulation/vif.ts";
import { BackEndDirectory } from "./back-end-directory.ts";
import { BackEnd, type BackDriver } from "./back-end.ts";
import { xenbusState } from "./state.ts";

const idle: BackDriver = {
  features: () => ({}),
  connect: () => Promise.resolve({}),
  disconnect: () => undefined,
};

interface World extends AnyWorld {
  readonly driver: SimulatedDomain;
  readonly guest: SimulatedDomain;
  /** A node, as the toolstack sees it. */
  read(path: string): Promise<string | undefined>;
  write(path: string, value: string): Promise<void>;
}

function inWorld(body: (world: World) => Promise<void>): Promise<void> {
  const turn = (): Promise<void> => new Promise(setImmediate);
  return inAnyWorld(new SeededRandom(7), turn, async (world) => {
    const { xenstore } = world.machine.control;
    await body({
      ...world,
      driver: await world.machine.createDomain(),
      guest: await world.machine.createDomain(),
      read: (path) => xenstore.readIfThere(path),
      write: (path, value) => xenstore.write(path, value),
    });
  });
}

/** Takes a device away, as a toolstack does, and gives the states of its back end that it sees until its nodes are gone. */
async function takeAway(world: World, path: string): Promise<string[]> {
  if ((await world.read(`${path}/state`)) !== String(xenbusState.closed)) {
    await world.write(`${path}/state`, String(xenbusState.closing));
  }
  await world.write(`${path}/online`, "0");
  const seen: string[] = [];
  for (let look = 0; look < 100; look++) {
    const state = await world.read(`${path}/state`);
    if (state !== seen.at(-1)) seen.push(state ?? "removed");
    if (state === undefined) return seen;
    await world.wait(50);
  }
  return [...seen, "still there"];
}

test("a device that is taken away is closed, seen closed, and removed; its guest's interface is over", () =>
  inWorld(async (world) => {
    const { driver, guest, tools } = world;
    const changes: string[] = [];
    const served = bridgeBackEnds(driver, {
      onChange: (name, isConnected) => changes.push(`${name} ${isConnected ? "connected" : "gone"}`),
    });
    const device = await tools.attach(vifNodes(guest, driver));
    const front = await createNetfront(guest, "device/vif/0");
    await world.wait();
    expect(await world.read(`${device.backPath}/hotplug-status`)).toBe("connected");
    expect((await takeAway(world, device.backPath)).slice(-2)).toEqual(["6", "removed"]);
    await tools.remove(device);
    expect((await front.over).kind).toBe("gone");
    await world.wait();
    expect(changes).toEqual([`vif${String(guest.id)}.0 connected`, `vif${String(guest.id)}.0 gone`]);
    expect(served.directory.count).toBe(0);

    const again = await tools.attach(vifNodes(guest, driver));
    const second = await createNetfront(guest, "device/vif/0");
    expect(second.isConnected).toBe(true);
    // One whose guest has closed it, and is gone.
    await second.close();
    await world.wait();
    expect(await takeAway(world, again.backPath)).toEqual(["6", "removed"]);
    await served.close();
  }));

test("a device is closed and removed whose front end has never begun, or is gone, until the directory is closed", () =>
  inWorld(async (world) => {
    const { driver, guest, tools } = world;
    const errors: string[] = [];
    const directory = new BackEndDirectory(driver, "page", {
      serve: (path) => new BackEnd(driver, path, idle),
      onError: (path, error) => errors.push(`${path} ${error.kind}`),
      most: 3,
    });
    const attach = (number: number) => tools.attach({ kind: "page", number, front: guest, back: driver });
    const devices = [await attach(0), await attach(1), await attach(2)] as const;
    await world.wait();
    expect(directory.count).toBe(3);
    const unserved = await attach(3);
    await world.wait();
    expect(await world.read(`${unserved.backPath}/state`)).toBe("1");

    expect((await takeAway(world, devices[0].backPath)).slice(-2)).toEqual(["6", "removed"]);
    // There is room for another now.
    await world.wait();
    expect(await world.read(`${unserved.backPath}/state`)).toBe("2");
    await world.machine.control.xenstore.remove(devices[1].frontPath);
    expect((await takeAway(world, devices[1].backPath)).slice(-2)).toEqual(["6", "removed"]);

    await directory.close();
    await world.wait();
    expect(await takeAway(world, devices[2].backPath)).toContain("still there");
    expect(errors).toEqual([]);
  }));

test("a device that was given up, and one that is not served, are closed when they are taken away", () =>
  inWorld(async (world) => {
    const { driver, guest, tools } = world;
    const errors: string[] = [];
    const broken: BackDriver = { ...idle, connect: () => Promise.reject(new Error("no rings")) };
    new BackEndDirectory(driver, "page", {
      serve: (path) => new BackEnd(driver, path, broken),
      onError: (_path, error) => errors.push(error.message),
      most: 1,
    });
    const attach = (number: number) => tools.attach({ kind: "page", number, front: guest, back: driver });
    const first = await attach(0);
    const second = await attach(1);
    await world.write(`${first.frontPath}/state`, String(xenbusState.initialised));
    await world.wait(1000);
    expect(errors).toEqual([expect.stringContaining("no rings")]);
    expect(await takeAway(world, second.backPath)).toEqual(["5", "6", "removed"]);
    expect(await takeAway(world, first.backPath)).toEqual(["6", "removed"]);
  }));

test("a device that the toolstack makes anew is not removed for the one that was there", () =>
  inWorld(async (world) => {
    const { driver, guest, tools } = world;
    new BackEndDirectory(driver, "page", { serve: (path) => new BackEnd(driver, path, idle) });
    const options = { kind: "page", number: 0, front: guest, back: driver };
    const device = await tools.attach(options);
    await world.wait();
    await world.write(`${device.backPath}/online`, "0");
    await world.wait(500);
    expect(await world.read(`${device.backPath}/state`)).toBe("6");
    await tools.attach(options);
    await world.wait(5000);
    expect(await world.read(`${device.backPath}/state`)).toBe("2");
  }));
