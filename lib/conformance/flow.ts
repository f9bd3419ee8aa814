import type { Timers } from "@tesserae/device/clock";
import type { Flow } from "@tesserae/device/flow";
import { ensure, ensureEqual, ensureFlowError, ensureRejects } from "./assert.ts";
import { pattern, pause, settles, settleTime, within } from "./pause.ts";
import { defineCase, type Suite } from "./suite.ts";

/** What makes connected flows. */
export interface FlowSubject {
  readonly timers: Timers;
  /** A new connection: the two ends of it. */
  readonly connect: () => Promise<FlowPair>;
}

export interface FlowPair {
  readonly near: Flow;
  readonly far: Flow;
}

/** Reads exactly `length` bytes; fails at an early end. */
export async function readExactly(flow: Flow, length: number): Promise<Uint8Array> {
  const all = new Uint8Array(length);
  let count = 0;
  while (count < length) {
    const got = await flow.read(all.subarray(count));
    ensure(got > 0, `the flow ended after ${String(count)} of ${String(length)} bytes`);
    count += got;
  }
  return all;
}

/** Reads to the end of the flow. */
export async function readToEnd(flow: Flow): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  const buffer = new Uint8Array(65_536);
  let total = 0;
  for (;;) {
    const got = await flow.read(buffer);
    if (got === 0) break;
    ensure(Number.isInteger(got) && got > 0 && got <= buffer.length, `read resolved to ${String(got)}`);
    parts.push(buffer.slice(0, got));
    total += got;
  }
  const all = new Uint8Array(total);
  let offset = 0;
  for (const part of parts) {
    all.set(part, offset);
    offset += part.length;
  }
  return all;
}

/** Ends both flows gracefully. */
export async function closeBoth({ near, far }: FlowPair, timers: Timers): Promise<void> {
  await within(timers, Promise.all([near.close(), far.close()]), "both ends to close");
}

const hello = new TextEncoder().encode("hello");

/** The contract of `Flow`. */
export const flowSuite: Suite<FlowSubject> = [
  defineCase("each end knows itself and the other", async ({ connect, timers }) => {
    const pair = await connect();
    const { near, far } = pair;
    ensure(near.local.port > 0 && near.remote.port > 0, "ports are set");
    ensureEqual(near.remote.port, far.local.port, "the near end's remote port");
    ensureEqual(far.remote.port, near.local.port, "the far end's remote port");
    ensureEqual(near.remote.address.toString(), far.local.address.toString(), "the near end's remote address");
    ensureEqual(far.remote.address.toString(), near.local.address.toString(), "the far end's remote address");
    await closeBoth(pair, timers);
  }),

  defineCase("bytes arrive in order, whatever the sizes of the writes", async ({ connect, timers }) => {
    const pair = await connect();
    const sizes = [1, 2, 3, 536, 1459, 1460, 1461, 2920, 1, 16_384, 65_535, 65_536, 65_537, 7];
    const total = sizes.reduce((sum, size) => sum + size, 0);
    const sent = pattern(total, 1);
    const received = within(timers, readToEnd(pair.far), "the bytes");
    let offset = 0;
    for (const size of sizes) {
      await pair.near.write(sent.subarray(offset, offset + size));
      offset += size;
    }
    await pair.near.end();
    ensureEqual(await received, sent, "received");
    await closeBoth(pair, timers);
  }),

  defineCase("writes that were not awaited keep the order of the calls", async ({ connect, timers }) => {
    const pair = await connect();
    const sent = pattern(60_000, 2);
    const received = within(timers, readToEnd(pair.far), "the bytes");
    const writes: Promise<void>[] = [];
    for (let offset = 0; offset < sent.length; offset += 600)
      writes.push(pair.near.write(sent.subarray(offset, offset + 600)));
    const ended = pair.near.end();
    await Promise.all([...writes, ended]);
    ensureEqual(await received, sent, "received");
    await closeBoth(pair, timers);
  }),

  defineCase("a read copies at most into.length bytes and leaves the rest", async ({ connect, timers }) => {
    const pair = await connect();
    await pair.near.write(hello);
    await pair.near.end();
    const single = new Uint8Array(1);
    const seen: number[] = [];
    while ((await within(timers, pair.far.read(single), "a byte")) > 0) seen.push(single[0] ?? -1);
    ensureEqual(new Uint8Array(seen), hello, "received byte by byte");
    await closeBoth(pair, timers);
  }),

  defineCase("a read copies to the start of a view in the middle of a buffer", async ({ connect, timers }) => {
    const pair = await connect();
    const memory = new Uint8Array(32).fill(0xee);
    await pair.near.write(hello);
    await pair.near.end();
    let count = 0;
    while (count < hello.length) {
      const got = await within(timers, pair.far.read(memory.subarray(8 + count, 8 + hello.length)), "bytes");
      ensure(got > 0, "the flow ended early");
      count += got;
    }
    ensureEqual(memory.slice(8, 8 + hello.length), hello, "inside the view");
    ensureEqual(memory.slice(0, 8), new Uint8Array(8).fill(0xee), "before the view");
    ensureEqual(memory.slice(8 + hello.length), new Uint8Array(24 - hello.length).fill(0xee), "behind the view");
    await closeBoth(pair, timers);
  }),

  defineCase("a read waits until there is something", async ({ connect, timers }) => {
    const pair = await connect();
    const reading = readExactly(pair.far, hello.length);
    ensure(!(await settles(timers, reading, settleTime)), "the read settled before anything was sent");
    await pair.near.write(hello);
    ensureEqual(await within(timers, reading, "the bytes"), hello, "received");
    await closeBoth(pair, timers);
  }),

  defineCase("a read into nothing rejects with RangeError", async ({ connect, timers }) => {
    const pair = await connect();
    await ensureRejects(pair.near.read(new Uint8Array(0)), RangeError, "an empty read");
    await pair.far.write(hello);
    ensureEqual(await within(timers, readExactly(pair.near, 5), "bytes"), hello, "the flow still works");
    await closeBoth(pair, timers);
  }),

  defineCase("a second read while one is pending rejects with TypeError and leaves the first", async (subject) => {
    const { connect, timers } = subject;
    const pair = await connect();
    const into = new Uint8Array(5);
    const first = pair.near.read(into.subarray(0, 1));
    await ensureRejects(pair.near.read(new Uint8Array(5)), TypeError, "the second read");
    await pair.far.write(hello);
    ensureEqual(await within(timers, first, "the first read"), 1, "the first read's count");
    ensureEqual(into[0], hello[0], "the first read's byte");
    ensureEqual(await within(timers, readExactly(pair.near, 4), "the rest"), hello.subarray(1), "the rest");
    await closeBoth(pair, timers);
  }),

  defineCase("the bytes are the writer's again once the write resolved", async ({ connect, timers }) => {
    const pair = await connect();
    const received = within(timers, readToEnd(pair.far), "the bytes");
    const buffer = new Uint8Array(4096);
    for (let round = 0; round < 50; round++) {
      buffer.fill(round);
      await pair.near.write(buffer);
      buffer.fill(0xff);
    }
    await pair.near.end();
    const all = await received;
    ensureEqual(all.length, 50 * 4096, "length");
    ensure(
      all.every((value, index) => value === Math.floor(index / 4096)),
      "a byte written after the write resolved was sent",
    );
    await closeBoth(pair, timers);
  }),

  defineCase("an empty write resolves and sends nothing", async ({ connect, timers }) => {
    const pair = await connect();
    await within(timers, pair.near.write(new Uint8Array(0)), "an empty write");
    const reading = pair.far.read(new Uint8Array(1));
    ensure(!(await settles(timers, reading, settleTime)), "an empty write woke the peer's read");
    await pair.near.write(hello.subarray(0, 1));
    ensureEqual(await within(timers, reading, "a byte"), 1, "count");
    await closeBoth(pair, timers);
  }),

  defineCase("a write that announced more is sent in bounded time when no more comes", async ({ connect, timers }) => {
    const pair = await connect();
    await pair.near.write(hello, true);
    ensureEqual(await within(timers, readExactly(pair.far, 5), "bytes written with more"), hello, "received");
    await pair.near.write(hello, true);
    await pair.near.write(hello);
    ensureEqual((await within(timers, readExactly(pair.far, 10), "both writes")).length, 10, "received");
    await pair.near.write(hello, true);
    await pair.near.end();
    ensureEqual(await within(timers, readToEnd(pair.far), "bytes before the end"), hello, "received before the end");
    await closeBoth(pair, timers);
  }),

  defineCase("ending one direction leaves the other open", async ({ connect, timers }) => {
    const pair = await connect();
    await pair.near.write(hello);
    await pair.near.end();
    ensureEqual(await within(timers, readToEnd(pair.far), "the first half"), hello, "before the end");
    const reply = pattern(100_000, 3);
    const received = within(timers, readToEnd(pair.near), "the reply");
    await pair.far.write(reply);
    await pair.far.end();
    ensureEqual(await received, reply, "after the end");
    await closeBoth(pair, timers);
  }),

  defineCase("after the end a read resolves to 0 ever after", async ({ connect, timers }) => {
    const pair = await connect();
    await pair.near.end();
    for (let round = 0; round < 3; round++) {
      ensureEqual(await within(timers, pair.far.read(new Uint8Array(8)), "the end"), 0, "read at the end");
    }
    await closeBoth(pair, timers);
  }),

  defineCase("end is idempotent, and a write after it rejects with closed", async ({ connect, timers }) => {
    const pair = await connect();
    await Promise.all([pair.near.end(), pair.near.end()]);
    await pair.near.end();
    await ensureFlowError(pair.near.write(hello), "closed", "a write after the end");
    await pair.far.write(hello);
    ensureEqual(await within(timers, readExactly(pair.near, 5), "bytes"), hello, "reading goes on");
    await closeBoth(pair, timers);
  }),

  defineCase("both directions carry a lot at once", async ({ connect, timers }) => {
    const pair = await connect();
    const there = pattern(1_500_000, 4);
    const back = pattern(1_200_000, 5);
    const send = async (flow: Flow, bytes: Uint8Array): Promise<void> => {
      for (let offset = 0; offset < bytes.length; offset += 40_000)
        await flow.write(bytes.subarray(offset, offset + 40_000));
      await flow.end();
    };
    const [far, near] = await within(
      timers,
      Promise.all([readToEnd(pair.far), readToEnd(pair.near), send(pair.near, there), send(pair.far, back)]),
      "two transfers",
      120_000,
    );
    ensureEqual(far, there, "near to far");
    ensureEqual(near, back, "far to near");
    await closeBoth(pair, timers);
  }),

  defineCase("one write larger than any buffer", async ({ connect, timers }) => {
    const pair = await connect();
    const sent = pattern(3_000_000, 6);
    const writing = pair.near.write(sent).then(() => pair.near.end());
    const received = await within(timers, readToEnd(pair.far), "the transfer", 120_000);
    await writing;
    ensureEqual(received, sent, "received");
    await closeBoth(pair, timers);
  }),

  defineCase("a peer that does not read holds up the writer, and nothing is lost", async ({ connect, timers }) => {
    const pair = await connect();
    const chunk = pattern(65_536, 7);
    let written = 0;
    let writing = pair.near.write(chunk);
    // No buffer on the way is this large: a thousand writes that all resolve are no back-pressure.
    for (;;) {
      if (!(await settles(timers, writing, 1000))) break;
      await writing;
      written++;
      ensure(written < 1000, "64 MB were taken while the peer read nothing");
      writing = pair.near.write(chunk);
    }
    const ended = writing.then(() => pair.near.end());
    const expected = (written + 1) * chunk.length;
    const buffer = new Uint8Array(100_000);
    let offset = 0;
    for (;;) {
      const got = await within(timers, pair.far.read(buffer), "more bytes");
      if (got === 0) break;
      for (let index = 0; index < got; index++) {
        if (buffer[index] !== chunk[(offset + index) & 65_535])
          ensure(false, `byte ${String(offset + index)} is wrong`);
      }
      offset += got;
    }
    await ended;
    ensureEqual(offset, expected, "bytes received");
    await closeBoth(pair, timers);
  }),

  defineCase("close delivers what was written, and resolves", async ({ connect, timers }) => {
    const pair = await connect();
    const sent = pattern(200_000, 8);
    const received = readToEnd(pair.far);
    await pair.near.write(sent);
    const closing = pair.near.close();
    ensureEqual(await within(timers, received, "what was written"), sent, "received");
    await pair.far.close();
    await within(timers, closing, "close");
  }),

  defineCase("close rejects a pending read and whatever comes after it with closed", async ({ connect, timers }) => {
    const pair = await connect();
    const reading = ensureFlowError(pair.near.read(new Uint8Array(8)), "closed", "the pending read");
    const closing = pair.near.close();
    await within(timers, reading, "the pending read");
    await ensureFlowError(pair.near.read(new Uint8Array(8)), "closed", "a read after close");
    await ensureFlowError(pair.near.write(hello), "closed", "a write after close");
    await pair.far.close();
    await within(timers, closing, "close");
  }),

  defineCase("close is idempotent, and harmless after abort, as abort is after close", async ({ connect, timers }) => {
    const first = await connect();
    const closing = Promise.all([first.near.close(), first.near.close()]);
    await first.far.close();
    await within(timers, closing, "two closes");
    await within(timers, first.near.close(), "a third close");
    first.near.abort();
    await within(
      timers,
      first.near.end().catch(() => undefined),
      "end after close",
    );

    const second = await connect();
    second.near.abort();
    second.near.abort();
    await within(timers, second.near.close(), "close after abort");
    await within(timers, second.far.close(), "the peer's close");
  }),

  defineCase("close discards what still arrives", async ({ connect, timers }) => {
    const pair = await connect();
    const closing = pair.near.close();
    ensureEqual(await within(timers, pair.far.read(new Uint8Array(8)), "the end"), 0, "the peer's read");
    // Taken, or refused by a reset: both are allowed, hanging is not.
    await within(
      timers,
      pair.far.write(pattern(10_000, 9)).catch(() => undefined),
      "the peer's write",
    );
    await within(timers, pair.far.close(), "the peer's close");
    await within(timers, closing, "close");
  }),

  defineCase("abort rejects what is pending and what comes after with aborted", async ({ connect, timers }) => {
    const pair = await connect();
    const reading = ensureFlowError(pair.near.read(new Uint8Array(8)), "aborted", "the pending read");
    // More than the buffers take, so that it is pending.
    const writing = ensureFlowError(pair.near.write(new Uint8Array(64_000_000)), "aborted", "the pending write");
    pair.near.abort();
    await within(timers, Promise.all([reading, writing]), "the pending calls");
    await ensureFlowError(pair.near.read(new Uint8Array(8)), "aborted", "a read after abort");
    await ensureFlowError(pair.near.write(hello), "aborted", "a write after abort");
    await within(timers, pair.far.close(), "the peer's close");
  }),

  defineCase("an abort resets the peer: its calls reject with one and the same error", async ({ connect, timers }) => {
    const pair = await connect();
    const first = ensureFlowError(pair.far.read(new Uint8Array(8)), "reset", "the peer's pending read");
    await pause(timers, settleTime);
    pair.near.abort();
    const error = await within(timers, first, "the reset");
    const next = await ensureFlowError(pair.far.read(new Uint8Array(8)), "reset", "the peer's next read");
    ensure(next === error, "the next read rejects with another error object");
    const write = await ensureFlowError(pair.far.write(hello), "reset", "the peer's write");
    ensure(write === error, "the write rejects with another error object");
    await within(timers, pair.far.close(), "the peer's close");
  }),

  defineCase("thousands of short messages go back and forth", async ({ connect, timers }) => {
    const pair = await connect();
    const rounds = 500;
    const echo = async (): Promise<void> => {
      const buffer = new Uint8Array(64);
      for (;;) {
        const got = await pair.far.read(buffer);
        if (got === 0) break;
        await pair.far.write(buffer.slice(0, got));
      }
      await pair.far.end();
    };
    const ask = async (): Promise<void> => {
      for (let round = 0; round < rounds; round++) {
        const message = pattern(1 + (round % 20), round);
        await pair.near.write(message);
        ensureEqual(await readExactly(pair.near, message.length), message, `echo ${String(round)}`);
      }
      await pair.near.end();
      ensureEqual(await pair.near.read(new Uint8Array(1)), 0, "the end of the echo");
    };
    await within(timers, Promise.all([echo(), ask()]), "the echoes", 120_000);
    await closeBoth(pair, timers);
  }),
];
