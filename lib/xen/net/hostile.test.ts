import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { headroom } from "@tesserae/device/page";
import { Scheduler } from "@tesserae/time/scheduler";
import { runVirtual } from "@tesserae/time/virtual-run";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import type { EventChannel } from "../event-channel.ts";
import type { SharedPages } from "../grant.ts";
import type { SimulatedDomain } from "../simulation/domain.ts";
import { SimulatedMachine } from "../simulation/machine.ts";
import { Toolstack } from "../simulation/toolstack.ts";
import { connectVif, type Vif, vifNodes } from "../simulation/vif.ts";
import { fuzz as hostileBack } from "./hostile-back.fuzz.ts";
import { fuzz as hostileFront } from "./hostile-front.fuzz.ts";
import { serveNetback } from "./netback.ts";

interface World {
  readonly machine: SimulatedMachine;
  readonly toolstack: Toolstack;
  readonly guest: SimulatedDomain;
  readonly driver: SimulatedDomain;
  pause(ms: number): Promise<void>;
}

async function withMachine(main: (world: World) => Promise<void>): Promise<void> {
  const clock = new VirtualClock({ origin: 0 });
  const errors: unknown[] = [];
  const timers = new Scheduler(clock, { onError: (error) => errors.push(error) });
  const machine = new SimulatedMachine({ timers, random: new SeededRandom(3) });
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
  const run = async (): Promise<void> => {
    const guest = await machine.createDomain();
    const driver = await machine.createDomain();
    const pause = (ms: number): Promise<void> => new Promise((resolve) => timers.timer(resolve).set(timers.now() + ms));
    await main({ machine, toolstack: new Toolstack(machine), guest, driver, pause });
  };
  await runVirtual({ clock, schedulers: [timers], turn }, run());
  expect(errors).toEqual([]);
}

interface Opened {
  readonly vif: Vif;
  /** The memory of the rings: transmit first, receive in the second page. */
  readonly rings: DataView;
  /** Makes an end look at the rings, and gives it time to. */
  readonly wake: (end: "guest" | "driver") => Promise<void>;
}

/** A connected interface, and what its ends have made for it. */
async function connect(world: World): Promise<Opened> {
  const { guest, driver } = world;
  const shared: SharedPages[] = [];
  const channels: Record<"guest" | "driver", EventChannel[]> = { guest: [], driver: [] };
  const allocate = guest.allocate.bind(guest);
  vi.spyOn(guest, "allocate").mockImplementation((count) => {
    const pages = allocate(count);
    shared.push(pages);
    return pages;
  });
  const offer = guest.events.allocate.bind(guest.events);
  vi.spyOn(guest.events, "allocate").mockImplementation((...all) => {
    const channel = offer(...all);
    channels.guest.push(channel);
    return channel;
  });
  const bind = driver.events.bind.bind(driver.events);
  vi.spyOn(driver.events, "bind").mockImplementation((...all) => {
    const channel = bind(...all);
    channels.driver.push(channel);
    return channel;
  });
  const vif = await connectVif(world);
  await world.pause(5);
  const rings = shared.find(({ count }) => count === 2);
  if (rings === undefined) throw new Error("no rings");
  const wake = async (end: "guest" | "driver"): Promise<void> => {
    for (const channel of channels[end === "guest" ? "driver" : "guest"]) channel.notify();
    await world.pause(5);
  };
  return { vif, rings: new DataView(rings.bytes.buffer), wake };
}

function send(netif: Vif["back"], fill: number): void {
  const page = netif.allocate();
  page?.bytes.fill(fill, headroom, headroom + 60);
  if (page !== undefined) netif.transmit(page, headroom, 60);
}

const requestProducer = 0;
const responseProducer = 8;
const entries = 64;
const receiveRing = 4096;

describe("a hostile other end", () => {
  test.each([
    ["more transmit requests than fit", requestProducer, 5000, "the transmit ring has more requests than fit"],
    ["more receive requests than fit", receiveRing + requestProducer, 5000, "the receive ring has more requests"],
  ])("of the guest: %s end the back end, which says why", (_, at, value, message) =>
    withMachine(async (world) => {
      const before = world.machine.audit;
      const { vif, rings, wake } = await connect(world);
      rings.setUint32(at, value, true);
      send(vif.back, 1);
      await wake("driver");
      const reason = await vif.server.over;
      expect(reason).toMatchObject({ kind: "protocol" });
      expect(reason.message).toMatch(/backend\/vif\/\d+\/0: /);
      expect(reason.message).toContain(message);
      await vif.front.close();
      await world.toolstack.detach(vif.device);
      await world.pause(100);
      expect(world.machine.audit).toEqual({ ...before, nodes: world.machine.audit.nodes });
    }),
  );

  test.each([
    ["more transmit responses than requests", responseProducer, "the transmit ring has more responses than requests"],
    ["more receive responses than requests", receiveRing + responseProducer, "the receive ring has more responses"],
  ])("of the driver domain: %s end the front end, which says why", (_, at, message) =>
    withMachine(async (world) => {
      const { vif, rings, wake } = await connect(world);
      for (let index = 0; index < 80; index++) send(vif.front, index);
      await world.pause(5);
      rings.setUint32(at, 3_000_000_000, true);
      // Transmit responses are looked for when many frames are under way.
      for (let index = 0; index < 80; index++) send(vif.front, index);
      await wake("guest");
      const reason = await vif.front.over;
      expect(reason).toMatchObject({ kind: "protocol" });
      expect(reason.message).toContain("device/vif/0: ");
      expect(reason.message).toContain(message);
      expect(vif.front.isConnected).toBe(false);
      send(vif.front, 1);
    }),
  );

  const broken: readonly (readonly [string, readonly (readonly number[])[], string])[] = [
    ["beyond its page", [[0, 4090, 0, 0, 60]], "a piece of 60 bytes at 4090 of its page"],
    ["with a second piece that is missing", [[0, 0, 4, 0, 60]], "announced and missing"],
    [
      "with pieces longer than itself",
      [
        [0, 0, 4, 0, 60],
        [0, 0, 0, 1, 70],
      ],
      "a frame of 60 bytes with longer pieces",
    ],
    ["of pieces that do not end", Array.from({ length: 40 }, (_, id) => [0, 0, 4, id, 1]), "more than 18 pieces"],
    [
      "to be cut into segments of 0 bytes",
      [
        [0, 0, 8, 0, 60],
        [1, 0, 0, 0, 0],
      ],
      "segments of 0 bytes",
    ],
    [
      "with unknown extra information",
      [
        [0, 0, 8, 0, 60],
        [9, 0, 0, 0, 0],
      ],
      "extra information of type 9",
    ],
    ["with extra information without end", Array.from({ length: 9 }, (_, id) => [0x104, 0, 8, id, 0]), "does not end"],
  ];
  test.each(broken)("of the guest: a frame %s ends the back end", (_, requests, message) =>
    withMachine(async (world) => {
      const { vif, rings, wake } = await connect(world);
      for (const [index, [low = 0, offset = 0, flags = 0, id = 0, size = 0]] of requests.entries()) {
        const at = entries + index * 12;
        rings.setUint32(at, low, true);
        for (const [word, value] of [offset, flags, id, size].entries())
          rings.setUint16(at + 4 + word * 2, value, true);
      }
      rings.setUint32(requestProducer, requests.length, true);
      await wake("driver");
      const reason = await vif.server.over;
      expect(reason.message).toContain(message);
    }),
  );

  test("of the guest: pages that were taken back cost frames, and nothing else", () =>
    withMachine(async (world) => {
      const references: number[] = [];
      const { grants } = world.guest;
      const grant = grants.grant.bind(grants);
      vi.spyOn(grants, "grant").mockImplementation((...all) => {
        const reference = grant(...all);
        references.push(reference);
        return reference;
      });
      const { vif } = await connect(world);
      const got: number[] = [];
      vif.front.listen((page, offset) => got.push(page.bytes[offset] ?? 0));
      vif.back.listen((page, offset) => got.push(page.bytes[offset] ?? 0));
      send(vif.back, 1);
      send(vif.front, 2);
      await world.pause(5);
      expect(got.sort()).toEqual([1, 2]);
      // Those of the rings are mapped, and stay.
      expect(references.filter((reference) => !grants.end(reference))).toHaveLength(2);
      const dropped = vif.front.statistics.droppedFrames;
      for (let index = 0; index < 70; index++) send(vif.front, 3);
      send(vif.back, 4);
      await world.pause(5);
      expect(got).toHaveLength(2);
      expect(vif.front.statistics.droppedFrames - dropped).toBeGreaterThan(60);
      expect(vif.server.reason).toBeUndefined();
    }));

  test.each([
    ["tx-ring-ref", "-1", "tx-ring-ref"],
    ["tx-ring-ref", "12345678901234567890", "tx-ring-ref"],
    ["event-channel", "x", "event-channel"],
    ["multi-queue-num-queues", "5", "multi-queue-num-queues"],
    ["multi-queue-num-queues", "2", "queue-0/tx-ring-ref"],
    ["request-rx-copy", "0", "request-rx-copy"],
    ["rx-ring-ref", "9999", "reference 9999"],
    ["event-channel", "77", "port 77"],
  ])("of the guest: %s = %s ends the back end, which names it, and nothing stays mapped", (name, value, message) =>
    withMachine(async (world) => {
      const { guest, driver } = world;
      const device = await world.toolstack.attach(vifNodes(guest, driver));
      const before = world.machine.audit;
      const server = serveNetback(driver, device.backPath, { onConnect: () => expect.unreachable() });
      await world.pause(50);
      const pages = guest.allocate(2);
      const channel = guest.events.allocate(driver.id, () => undefined);
      const good: Record<string, string> = {
        "tx-ring-ref": String(guest.grants.grant(pages, 0, driver.id, "read-write")),
        "rx-ring-ref": String(guest.grants.grant(pages, 1, driver.id, "read-write")),
        "event-channel": String(channel.port),
        "request-rx-copy": "1",
      };
      for (const [node, text] of Object.entries({ ...good, [name]: value })) {
        await guest.xenstore.write(`${device.frontPath}/${node}`, text);
      }
      await guest.xenstore.write(`${device.frontPath}/state`, "4");
      expect((await server.over).message).toContain(message);
      expect(world.machine.audit).toMatchObject({ mappings: before.mappings, channels: before.channels + 1 });
    }),
  );
});

const inputs = (seeds: readonly Uint8Array[]) =>
  fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc
      .tuple(fc.constantFrom(...seeds), fc.array(fc.tuple(fc.nat(60), fc.nat(255)), { maxLength: 6 }))
      .map(([seed, changes]) => {
        const bytes = Uint8Array.from(seed);
        for (const [at, value] of changes) bytes[at % bytes.length] = value;
        return bytes;
      }),
  );

test.each([hostileFront, hostileBack])("property: $name", (target) => {
  const { seeds } = target;
  fc.assert(
    fc.property(inputs(seeds), (input) => {
      void target.run(input);
    }),
    { numRuns: 200, examples: seeds.map((seed) => [Uint8Array.from(seed)]) },
  );
});
