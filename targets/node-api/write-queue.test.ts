import { IpAddress } from "@tesserae/device/address";
import { type Flow, FlowError } from "@tesserae/device/flow";
import { describe, expect, test } from "vitest";
import { Errno } from "./errno.ts";
import { WriteQueue } from "./write-queue.ts";

const endpoint = { address: IpAddress.loopback4, port: 1 };
const errno = new Errno({ UV_ECANCELED: -125, UV_ECONNRESET: -104, UV_EPIPE: -32, UV_EIO: -5 });

/** A flow whose room the test decides. */
class TestFlow implements Flow {
  readonly local = endpoint;
  readonly remote = endpoint;
  readonly taken: number[] = [];
  ended = false;
  error: FlowError | undefined;
  #waiting: { bytes: Uint8Array; resolve: () => void; reject: (error: unknown) => void } | undefined;

  read = () => new Promise<number>(() => undefined);
  close = () => Promise.resolve();
  abort = () => undefined;

  write(bytes: Uint8Array): Promise<void> {
    if (this.#waiting !== undefined) throw new Error("two parts at once");
    return new Promise((resolve, reject) => (this.#waiting = { bytes, resolve, reject }));
  }

  end(): Promise<void> {
    this.ended = true;
    return this.error === undefined ? Promise.resolve() : Promise.reject(this.error);
  }

  get waiting(): number {
    return this.#waiting?.bytes.length ?? 0;
  }

  async take(): Promise<void> {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    this.taken.push(...(waiting?.bytes ?? []));
    waiting?.resolve();
    await new Promise((resolve) => setImmediate(resolve));
  }

  async fail(error: FlowError): Promise<void> {
    this.error = error;
    this.#waiting?.reject(error);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** One that takes up to `room` bytes at once. */
class PromptTestFlow extends TestFlow {
  room = 0;

  /** Whether the last write said that more was to come. */
  more = false;

  writeNow(bytes: Uint8Array, more = false): number {
    this.more = more;
    if (this.error !== undefined) throw this.error;
    const count = Math.min(bytes.length, this.room);
    this.room -= count;
    this.taken.push(...bytes.subarray(0, count));
    return count;
  }

  setNoDelay(): void {
    // Nothing is delayed.
  }

  setKeepAlive(): void {
    // Nobody goes away.
  }
}

function bytes(...values: number[]): Uint8Array {
  return Uint8Array.from(values);
}

function setup(room = 0) {
  const flow = new PromptTestFlow();
  flow.room = room;
  const done: number[] = [];
  let changes = 0;
  const queue = new WriteQueue(flow, errno, () => changes++);
  return { flow, queue, done, complete: (status: number) => void done.push(status), changes: () => changes };
}

describe("WriteQueue", () => {
  test("what there is room for is taken at once", () => {
    const { flow, queue, done, complete } = setup(10);
    expect(queue.write([bytes(1, 2), bytes(), bytes(3)], complete)).toBe(0);
    expect(queue.write([], complete)).toBe(0);
    expect([flow.taken, done, queue.pending, queue.bytes, queue.queued]).toEqual([[1, 2, 3], [], false, 3, 0]);
  });

  test("the rest waits, in order, and tells when it is taken", async () => {
    const { flow, queue, done, complete, changes } = setup(3);
    expect(queue.write([bytes(1, 2), bytes(3, 4), bytes(5)], complete)).toBe(1);
    expect([queue.bytes, queue.queued, queue.pending]).toEqual([5, 2, true]);
    expect(queue.write([bytes(6)], complete)).toBe(1);
    expect(queue.queued).toBe(3);
    let ended = -1;
    queue.shutdown((status) => (ended = status));
    await flow.take();
    await flow.take();
    expect([flow.taken, done, flow.ended]).toEqual([[1, 2, 3, 4, 5], [0], false]);
    await flow.take();
    expect([flow.taken, done, flow.ended, ended]).toEqual([[1, 2, 3, 4, 5, 6], [0, 0], true, 0]);
    expect([queue.pending, queue.queued, changes() > 0]).toEqual([false, 0, true]);
  });

  test("the flow is told that more comes, but not behind the last byte", () => {
    const { flow, queue, complete } = setup(10);
    queue.write([bytes(1), bytes(2), bytes()], complete);
    expect([flow.taken, flow.more]).toEqual([[1, 2], false]);
    queue.write([bytes(3), bytes(), bytes(4), bytes(5)], complete);
    expect([flow.taken, flow.more]).toEqual([[1, 2, 3, 4, 5], false]);
  });

  test("large writes go part by part, so that they can be called back", async () => {
    const { flow, queue, done, complete } = setup();
    const large = new Uint8Array(200_000);
    queue.write([large], complete);
    expect(flow.waiting).toBe(65_536);
    await flow.take();
    expect(queue.queued).toBe(200_000 - 65_536);
    queue.cancel();
    await flow.take();
    expect([done, flow.waiting, queue.queued, queue.pending]).toEqual([[-125], 0, 0, false]);
  });

  test("what is borrowed is copied before it waits", async () => {
    const { flow, queue, complete } = setup(1);
    const borrowed = Buffer.from([1, 2, 3]);
    queue.write([borrowed], complete, true);
    borrowed.fill(9);
    await flow.take();
    expect(flow.taken).toEqual([1, 2, 3]);
  });

  test("a flow that fails fails all that waits, and what comes after", async () => {
    const { flow, queue, done, complete } = setup();
    queue.write([bytes(1)], complete);
    queue.write([bytes(2)], complete);
    let ended = 0;
    queue.shutdown((status) => (ended = status));
    await flow.fail(new FlowError("reset", "gone"));
    expect([done, ended, queue.pending]).toEqual([[-104, -104], -104, false]);
    expect(queue.write([bytes(3)], complete)).toBe(-104);
  });

  test("cancelling tells from the event loop, not inside the call", async () => {
    const { queue, done, complete } = setup();
    queue.write([bytes(1)], complete);
    queue.cancel();
    expect(done).toEqual([]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(done).toEqual([-125]);
  });

  test("a flow of the signature alone works, too", async () => {
    const flow = new TestFlow();
    const done: number[] = [];
    const queue = new WriteQueue(flow, errno, () => undefined);
    expect(queue.write([bytes(1), bytes(2)], (status) => void done.push(status))).toBe(1);
    await flow.take();
    await flow.take();
    expect([flow.taken, done, queue.pending]).toEqual([[1, 2], [0], false]);
  });
});
