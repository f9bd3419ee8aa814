import { describe, expect, test } from "vitest";
import { sleep } from "@tesserae/time/sleep";
import { InvariantError } from "./invariants.ts";
import { createWorld, type World } from "./world.ts";

/** A world in which something happens every millisecond. */
function ticking(ticks: number): { readonly world: World; readonly count: () => number } {
  const world = createWorld();
  let count = 0;
  world.task("ticks", async () => {
    for (; count < ticks; count++) await sleep(world.timers, 1);
  });
  return { world, count: () => count };
}

describe("an invariant", () => {
  test("is looked at after each event, when all that follows has happened, and again at the end", async () => {
    const { world, count } = ticking(5);
    const seen: number[] = [];
    world.invariant("looks", () => void seen.push(count()));
    await world.run();
    expect(seen).toEqual([0, 1, 2, 3, 4, 5, 5]);
  });

  test("that does not hold fails the run at once, by name", async () => {
    const { world, count } = ticking(100);
    world.invariant("few", () => (count() > 7 ? `${count()} are too many` : undefined));
    const error = await world.run().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(InvariantError);
    expect(error).toMatchObject({
      invariant: "few",
      time: 8,
      message: 'invariant "few" does not hold at 8 ms: 8 are too many',
    });
  });

  test("may throw, too", async () => {
    const { world, count } = ticking(100);
    world.invariant("few", () => expect(count()).toBeLessThan(3));
    await expect(world.run()).rejects.toThrow('invariant "few" does not hold at 3 ms');
  });

  test("that is dear is looked at after every so many events only, and at the end", async () => {
    const { world, count } = ticking(25);
    const seen: number[] = [];
    world.invariant("dear", () => void seen.push(count()), { every: 10 });
    await world.run();
    expect(seen).toEqual([9, 19, 25]);
    expect(() => world.invariant("x", () => undefined, { every: 0.5 })).toThrow("every 0.5 is no integer");
  });

  test("changes nothing about a run", async () => {
    const runs = await Promise.resolve([false, true]);
    const hashes: string[] = [];
    for (const audited of runs) {
      const world = createWorld({ seed: "a", link: { loss: 0.1, delay: 10 } });
      if (audited) world.invariant("looks", () => undefined);
      const server = world.host("server");
      world.host("client").run(async ({ stack }) => {
        await server.ready;
        await server.stack.tcp.listen({ port: 7 }, (flow) => flow.close());
        const flow = await stack.tcp.connect({ address: server.address, port: 7 });
        await flow.write(new Uint8Array(20_000));
        await flow.close();
      });
      hashes.push((await world.run()).hash);
    }
    expect(hashes[0]).toBe(hashes[1]);
  });
});
