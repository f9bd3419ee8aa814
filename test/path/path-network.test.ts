// The emulated path does in real time what the simulator's link does in virtual time.
import { SeededRandom } from "@tesserae/sim/random";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { netemUnavailable, unavailable } from "../namespace/namespace.ts";
import { bundle, type Bundle } from "../node/process.ts";
import { netemOf, PathNetwork } from "./path-network.ts";
import { linkAddress } from "./roles.ts";

const reason = unavailable("ping", "chrt");

describe.skipIf(reason !== undefined)(`an emulated path${reason === undefined ? "" : ` (${reason})`}`, () => {
  let program: Bundle;
  let network: PathNetwork;

  beforeAll(async () => {
    program = await bundle(`import { playRole } from "./test/path/roles.ts"; await playRole();`);
    network = await PathNetwork.open({ program: program.file, paths: 4 });
  });
  afterAll(async () => {
    network.close();
    await program.remove();
  });

  /** The numbers of the echo requests that were answered, and their round trips in milliseconds. */
  async function ping(path: number, count: number, size = 56): Promise<{ heard: number[]; roundTrips: number[] }> {
    const args = [
      "-n",
      "-i",
      "0.01",
      "-W",
      "1",
      "-M",
      "do",
      "-c",
      `${count}`,
      "-s",
      `${size}`,
      linkAddress(path, "far"),
    ];
    const { stdout } = await network.near.ran("ping", args);
    const heard = [...stdout.matchAll(/icmp_seq=(\d+) ttl/g)].map(([, number]) => Number(number));
    const roundTrips = [...stdout.matchAll(/time=([\d.]+)/g)].map(([, time]) => Number(time));
    return { heard, roundTrips };
  }

  test("delays by its delay, both ways, and loses nothing by itself", async () => {
    await network.configure(0, { delay: 15 }, "a");
    const { heard, roundTrips } = await ping(0, 20);
    expect(heard).toHaveLength(20);
    expect(Math.min(...roundTrips)).toBeGreaterThanOrEqual(30);
    const { directions } = await network.emulator.ask("statistics", { path: 0 });
    const nothingLost = { sent: 20, dropped: 0, delivered: 20, refused: 0 };
    expect(directions).toEqual([nothingLost, nothingLost]);
  });

  test("loses exactly the frames that the simulator would lose with that seed", async () => {
    await network.configure(1, { delay: 1, loss: 0.3 }, "lossy");
    const { heard } = await ping(1, 60);
    const seed = new SeededRandom("lossy");
    const [there, back] = [seed.fork("near>far"), seed.fork("far>near")];
    const expected = Array.from({ length: 60 }, (_, index) => index + 1)
      .filter(() => !there.chance(0.3))
      .filter(() => !back.chance(0.3));
    expect(heard).toEqual(expected);
  });

  test("drops what is longer than its MTU, and tells nobody", async () => {
    await network.configure(2, { delay: 1, mtu: 1000 }, "narrow");
    expect((await ping(2, 3, 972)).heard).toEqual([1, 2, 3]);
    expect((await ping(2, 3, 973)).heard).toEqual([]);
  });

  test.each([
    ["kernel", "kernel"],
    ["own", "kernel"],
    ["kernel", "own"],
    ["own", "own"],
  ] as const)("carries a transfer from %s to %s, no faster than its bandwidth", async (from, to) => {
    await network.configure(3, { bandwidth: 2e7, delay: 2 }, "b");
    const { bytes, milliseconds } = await network.transfer({
      path: 3,
      from,
      to,
      bytes: 1_000_000,
      milliseconds: 20_000,
    });
    expect(bytes).toBeGreaterThanOrEqual(1_000_000);
    // What the queue holds when the clock starts is all that can come early.
    expect(milliseconds).toBeGreaterThan(((1_000_000 - 262_144) * 8000) / 2e7);
  });
});

describe("the same path for netem", () => {
  test("in tc's words: a rate, a delay, a loss, and room for what is under way and what waits", () => {
    const netem = netemOf({ bandwidth: 1e8, delay: 50, loss: 0.01, queue: 1_250_000 });
    expect(netem).toEqual({
      rate: "100000000bit",
      delay: 50,
      loss: 0.01,
      limit: Math.ceil((625_000 + 1_250_000) / 1514),
    });
    expect(netemOf({ delay: 5 })).toEqual({ delay: 5, loss: 0, limit: 1_000_000 });
  });

  test("what netem does not do the same way is refused", () => {
    expect(() => netemOf({ queue: { kind: "codel" } as never })).toThrow(TypeError);
  });

  const lacking = unavailable("ping", "chrt", "ethtool") ?? lackOfNetem();
  test.skipIf(lacking !== undefined)(`carries a transfer${lacking === undefined ? "" : ` (${lacking})`}`, async () => {
    const program = await bundle(`import { playRole } from "./test/path/roles.ts"; await playRole();`);
    const network = await PathNetwork.open({ program: program.file, paths: 1, emulator: "netem" });
    try {
      await network.configure(0, { bandwidth: 1e7, delay: 10, queue: 100_000 }, "");
      const { bytes } = await network.transfer({
        path: 0,
        from: "own",
        to: "kernel",
        bytes: 1_000_000,
        milliseconds: 5000,
      });
      expect(bytes).toBe(1_000_000);
      expect(await network.lateness()).toBeUndefined();
    } finally {
      network.close();
      await program.remove();
    }
  });
});

/** Kernels without netem exist, in CI too. */
function lackOfNetem(): string | undefined {
  return reason === undefined ? netemUnavailable() : reason;
}
