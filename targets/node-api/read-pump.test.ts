import { IpAddress } from "@tesserae/device/address";
import { type Flow, FlowError } from "@tesserae/device/flow";
import { describe, expect, test } from "vitest";
import { ReadPump } from "./read-pump.ts";

const endpoint = { address: IpAddress.loopback4, port: 1 };

/** A flow that reads what the test gives it. */
class TestFlow implements Flow {
  readonly local = endpoint;
  readonly remote = endpoint;
  reads = 0;
  largest = 0;
  #waiting: { into: Uint8Array; resolve: (count: number) => void; reject: (error: unknown) => void } | undefined;

  write = () => Promise.resolve();
  end = () => Promise.resolve();
  close = () => Promise.resolve();
  abort = () => undefined;

  read(into: Uint8Array): Promise<number> {
    if (this.#waiting !== undefined) throw new TypeError("a read is pending");
    this.reads++;
    this.largest = Math.max(this.largest, into.length);
    return new Promise((resolve, reject) => (this.#waiting = { into, resolve, reject }));
  }

  get isWaiting(): boolean {
    return this.#waiting !== undefined;
  }

  /** The waiting read gets `count` bytes of `value`, or as many as it takes. */
  async give(count: number, value = 1): Promise<void> {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.into.fill(value, 0, Math.min(count, waiting.into.length));
    waiting?.resolve(Math.min(count, waiting.into.length));
    await new Promise((resolve) => setImmediate(resolve));
  }

  async fail(error: unknown): Promise<void> {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.reject(error);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function setup(keeps = false) {
  const flow = new TestFlow();
  const got: (number | string)[] = [];
  let overs = 0;
  const sink = {
    data: (into: Uint8Array, length: number) => {
      got.push(length, into[0] ?? -1);
      return keeps;
    },
    end: (error: unknown) => void got.push(error === undefined ? "end" : (error as FlowError).kind),
  };
  const pump = new ReadPump(
    flow,
    (act) => act(),
    sink,
    () => overs++,
  );
  return { flow, got, pump, overs: () => overs };
}

describe("ReadPump", () => {
  test("moves bytes while it is told to, one read at a time, to the end", async () => {
    const { flow, got, pump, overs } = setup();
    expect(flow.reads).toBe(0);
    pump.start();
    pump.start();
    await flow.give(10, 1);
    await flow.give(20, 2);
    await flow.give(0);
    expect(got).toEqual([10, 1, 20, 2, "end"]);
    expect([flow.isWaiting, pump.reading, pump.over, pump.bytes, overs()]).toEqual([false, false, true, 30, 1]);
  });

  test("what arrives after stop is held, and given after start, not inside it", async () => {
    const { flow, got, pump } = setup();
    pump.start();
    pump.stop();
    await flow.give(5, 7);
    expect([got, flow.isWaiting]).toEqual([[], false]);
    pump.start();
    expect(got).toEqual([]);
    await Promise.resolve();
    expect(got).toEqual([5, 7]);
    expect(flow.isWaiting).toBe(true);
  });

  test("an end, or an error, is held, too", async () => {
    for (const how of ["end", "reset"]) {
      const { flow, got, pump } = setup();
      pump.start();
      pump.stop();
      if (how === "end") await flow.give(0);
      else await flow.fail(new FlowError("reset", "gone"));
      expect(got).toEqual([]);
      pump.start();
      await Promise.resolve();
      expect(got).toEqual([how]);
    }
  });

  test("reads grow while they fill their buffer, and shrink again", async () => {
    const { flow, pump } = setup();
    pump.start();
    expect(flow.largest).toBe(4096);
    for (let round = 0; round < 5; round++) await flow.give(1_000_000);
    expect(flow.largest).toBe(65_536);
    for (let round = 0; round < 5; round++) await flow.give(1);
    flow.largest = 0;
    await flow.give(1);
    expect(flow.largest).toBe(4096);
  });

  test("a buffer that the sink keeps is not written to again", async () => {
    const flow = new TestFlow();
    const kept: Uint8Array[] = [];
    const sink = { data: (into: Uint8Array) => (kept.push(into), true), end: () => undefined };
    const pump = new ReadPump(
      flow,
      (act) => act(),
      sink,
      () => undefined,
    );
    pump.start();
    for (let value = 1; value <= 4; value++) await flow.give(4096, value);
    expect(kept.map((each) => each[0])).toEqual([1, 2, 3, 4]);
  });

  test("a peer that floods gives others their turn", async () => {
    let reads = 0;
    let turns = 0;
    const flow = new TestFlow();
    flow.read = () => Promise.resolve(++reads > 1000 ? 0 : 1);
    const turn = setInterval(() => turns++, 0);
    await new Promise<void>((resolve) => {
      const sink = { data: () => false, end: () => resolve() };
      const pump = new ReadPump(
        flow,
        (act) => act(),
        sink,
        () => undefined,
      );
      const count = (): void => {
        turns++;
        if (!pump.over) setImmediate(count);
      };
      setImmediate(count);
      pump.start();
    });
    clearInterval(turn);
    expect(turns).toBeGreaterThan(10);
  });

  test("a drain throws away what arrives until the end, but not for ever", async () => {
    const graceful = setup();
    graceful.pump.start();
    const outcomes: boolean[] = [];
    graceful.pump.drain((isGraceful) => outcomes.push(isGraceful));
    await graceful.flow.give(1000);
    await graceful.flow.give(0);
    expect([graceful.got, outcomes]).toEqual([[], [true]]);

    const flood = setup();
    flood.pump.drain((isGraceful) => outcomes.push(isGraceful));
    for (let round = 0; round < 20 && flood.flow.isWaiting; round++) await flood.flow.give(16_384);
    expect([flood.flow.isWaiting, outcomes]).toEqual([false, [true, false]]);

    const failing = setup();
    failing.pump.drain((isGraceful) => outcomes.push(isGraceful));
    await failing.flow.fail(new FlowError("reset", "gone"));
    expect(outcomes).toEqual([true, false, false]);

    const late = setup();
    late.pump.start();
    await late.flow.give(0);
    late.pump.drain((isGraceful) => outcomes.push(isGraceful));
    expect(outcomes).toEqual([true, false, false, true]);
  });
});
