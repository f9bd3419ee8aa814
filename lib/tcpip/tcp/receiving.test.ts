import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Transcript } from "./transcript.ts";

async function open(options = {}, syn = {}) {
  const t = new Transcript(options);
  const flow = await t.established({ mss: 1460, ...syn });
  return { t, flow, info: () => t.tcp.connections()[0]! };
}

/** Uses up the quick ACKs that a connection starts with. */
function warmUp(t: Transcript, segments = 20): number {
  for (let index = 0; index < segments; index++) {
    t.receive({ flags: "A", seq: 1 + index * 1000, ack: 1, length: 1000 });
    t.tcp.flush();
  }
  t.takeAll();
  return 1 + segments * 1000;
}

describe("RFC 5681 §4.2: acknowledging", () => {
  test("at the start every full segment is acknowledged", async () => {
    const { t } = await open();
    for (let index = 0; index < 4; index++) {
      t.receive({ flags: "A", seq: 1 + index * 1000, ack: 1, length: 1000 });
      expect(t.takeAll()).toHaveLength(1);
    }
  });

  test("then every second one, or within 40 ms", async () => {
    const { t } = await open();
    const seq = warmUp(t);
    t.receive({ flags: "A", seq, ack: 1, length: 1000 });
    expect(t.takeAll()).toEqual([]);
    t.receive({ flags: "A", seq: seq + 1000, ack: 1, length: 1000 });
    expect(t.takeAll()).toEqual([`A 1 ack ${String(seq + 2000)}`]);
    t.receive({ flags: "A", seq: seq + 2000, ack: 1, length: 1000 });
    await t.advance(39);
    expect(t.takeAll()).toEqual([]);
    await t.advance(1);
    expect(t.takeAll()).toEqual([`A 1 ack ${String(seq + 3000)}`]);
    expect(t.scheduler.pending).toBe(0);
  });

  test("a short request waits for the answer to take the ACK along", async () => {
    const { t, flow } = await open();
    t.receive({ flags: "PA", seq: 1, ack: 1, length: 100 });
    expect(t.takeAll()).toEqual([]);
    await flow.write(new Uint8Array(50));
    expect(t.takeAll()).toEqual(["PA 1:51 ack 101"]);
    t.receive({ flags: "A", seq: 101, ack: 51 });
    await t.advance(100);
    expect(t.takeAll()).toEqual([]);
  });

  test("segments of one batch share an ACK, but no more than sixteen", async () => {
    const { t } = await open();
    let seq = warmUp(t);
    for (let index = 0; index < 10; index++, seq += 1000) t.receive({ flags: "A", seq, ack: 1, length: 1000 });
    expect(t.takeAll()).toEqual([`A 1 ack ${String(seq)}`]);
    for (let index = 0; index < 20; index++, seq += 1000) t.receive({ flags: "A", seq, ack: 1, length: 1000 });
    expect(t.takeAll()).toHaveLength(2);
  });

  test("every early segment gets a duplicate ACK of its own, and filling the gap one at once", async () => {
    const { t } = await open();
    const seq = warmUp(t);
    for (let index = 1; index <= 3; index++) {
      t.receive({ flags: "A", seq: seq + index * 1000, ack: 1, length: 1000 });
    }
    expect(t.takeAll()).toEqual(new Array<string>(3).fill(`A 1 ack ${String(seq)}`));
    t.receive({ flags: "A", seq, ack: 1, length: 1000 });
    expect(t.takeAll()).toEqual([`A 1 ack ${String(seq + 4000)}`]);
  });

  test("RFC 5681 §4.2: a gap that was filled makes no segment look larger: every second one is acknowledged", async () => {
    const { t } = await open();
    let seq = warmUp(t);
    for (let index = 1; index <= 10; index++) {
      t.receive({ flags: "A", seq: seq + index * 1000, ack: 1, length: 1000 });
    }
    t.receive({ flags: "A", seq, ack: 1, length: 1000 });
    t.takeAll();
    seq += 11_000;
    for (let index = 0; index < 15 + 6; index++, seq += 1000) {
      t.receive({ flags: "A", seq, ack: 1, length: 1000 });
      t.tcp.flush();
      if (index < 15) expect(t.takeAll()).toHaveLength(1);
    }
    expect(t.takeAll()).toEqual([seq - 4000, seq - 2000, seq].map((ack) => `A 1 ack ${String(ack)}`));
  });

  test.each(["something is missing", "something comes twice", "the peer was silent for 200 ms"])(
    "after %s, sixteen segments are acknowledged at once again: the peer's window may be a segment",
    async (what) => {
      const { t } = await open();
      let seq = warmUp(t);
      let quick = 16;
      if (what === "something is missing") {
        t.receive({ flags: "A", seq: seq + 1000, ack: 1, length: 1000 });
        t.receive({ flags: "A", seq, ack: 1, length: 1000 });
        seq += 2000;
        quick--;
      } else if (what === "something comes twice") {
        t.receive({ flags: "A", seq: seq - 1000, ack: 1, length: 1000 });
      } else {
        await t.advance(200);
      }
      t.takeAll();
      for (; quick > 0; quick--, seq += 1000) {
        t.receive({ flags: "A", seq, ack: 1, length: 1000 });
        expect(t.takeAll()).toEqual([`A 1 ack ${String(seq + 1000)}`]);
      }
      t.receive({ flags: "A", seq, ack: 1, length: 1000 });
      expect(t.takeAll()).toEqual([]);
    },
  );

  test("while the peer repairs a loss, segments of one batch have an ACK each: some are lost", async () => {
    const { t } = await open();
    let seq = warmUp(t);
    t.receive({ flags: "A", seq: seq + 1000, ack: 1, length: 1000 });
    for (const at of [seq, seq + 2000, seq + 3000]) t.receive({ flags: "A", seq: at, ack: 1, length: 1000 });
    seq += 4000;
    expect(t.takeAll()).toEqual([seq - 4000, seq - 2000, seq - 1000, seq].map((ack) => `A 1 ack ${String(ack)}`));
  });

  test("RFC 5681 §4.2: nor do segments that the device has joined", async () => {
    const { t } = await open();
    let seq = warmUp(t);
    t.receive({ flags: "A", seq, ack: 1, length: 12_000 });
    t.takeAll();
    seq += 12_000;
    for (let index = 0; index < 4; index++, seq += 1460) {
      t.receive({ flags: "A", seq, ack: 1, length: 1460 });
      t.tcp.flush();
    }
    expect(t.takeAll()).toEqual([seq - 2920, seq].map((ack) => `A 1 ack ${String(ack)}`));
  });
});

describe("RFC 9293 §3.8.6: our window", () => {
  test("is what is free, never shrinks, and opens again when the reader has read enough", async () => {
    const { t, flow, info } = await open({ receiveBuffer: 20_000, maxReceiveBuffer: 20_000 });
    for (let index = 0; index < 20; index++) {
      t.receive({ flags: "A", seq: 1 + index * 1000, ack: 1, length: 1000 });
      t.tcp.flush();
    }
    const last = t.sent.length;
    expect(last).toBeGreaterThan(10);
    let edge = 0;
    for (let ack = t.take(); ack !== undefined; ack = t.take()) {
      expect(ack.ack! + ack.win).toBeGreaterThanOrEqual(edge);
      edge = ack.ack! + ack.win;
    }
    expect(info().receiveWindow).toBe(0);
    // One byte, or one segment, is not worth a word.
    await flow.read(new Uint8Array(1));
    expect(t.takeAll()).toEqual([]);
    await flow.read(new Uint8Array(12_000));
    const update = t.take();
    expect(update).toMatchObject({ flags: "A", ack: 20_001, win: 12_001 });
  });

  test("with the window shut, data is dropped and answered, but its ACK counts", async () => {
    const { t, flow, info } = await open({ receiveBuffer: 4000, maxReceiveBuffer: 4000 });
    t.receive({ flags: "A", seq: 1, ack: 1, length: 4000 });
    t.takeAll();
    await flow.write(new Uint8Array(10));
    t.takeAll();
    t.receive({ flags: "A", seq: 4001, ack: 11, length: 1 });
    expect(t.takeAll()).toEqual(["A 11 ack 4001"]);
    expect(info()).toMatchObject({ inFlight: 0, bytesReceived: 4000 });
  });

  test("data beyond the window is cut off", async () => {
    const { t, info } = await open({ receiveBuffer: 4000, maxReceiveBuffer: 4000 });
    t.receive({ flags: "A", seq: 1, ack: 1, length: 6000 });
    expect(info()).toMatchObject({ bytesReceived: 4000, receiveBuffered: 4000 });
    expect(t.takeAll()).toEqual(["A 1 ack 4001"]);
  });

  test("grows for a reader that keeps up", async () => {
    const { t, flow, info } = await open({}, { windowShift: 7 });
    const into = new Uint8Array(100_000);
    let seq = 1;
    for (let round = 0; round < 200; round++) {
      for (let index = 0; index < 40; index++, seq += 1460) t.receive({ flags: "A", seq, ack: 1, length: 1460 });
      await flow.read(into);
      if (round % 20 === 19) await t.advance(5);
      t.takeAll();
    }
    expect(info().receiveWindow).toBeGreaterThan(1_000_000);
    expect(info().receiveWindow).toBeLessThanOrEqual(4_194_304);
    expect(info().memory).toBe(0);
  });
});

describe("early segments", () => {
  test("more holes than allowed are not remembered, and nothing breaks", async () => {
    const { t, flow, info } = await open();
    for (let index = 1; index <= 2148; index++) t.receive({ flags: "A", seq: 1 + index * 20, ack: 1, length: 10 });
    expect(info().outOfOrderBytes).toBe(20_480);
    expect(t.tcp.statistics.outOfOrderDropped).toBe(100);
    t.receive({ flags: "A", seq: 1, ack: 1, length: 45_000 });
    expect(await flow.read(new Uint8Array(100_000))).toBe(45_000);
    expect(t.tcp.statistics.bufferBytes).toBe(0);
  });

  test("any order of overlapping segments gives the same bytes", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(900), fc.integer({ min: 1, max: 300 })), { maxLength: 60 }),
        fc.boolean(),
        async (pieces, readFirst) => {
          const { t, flow } = await open();
          const stream = Uint8Array.from({ length: 1200 }, (_, index) => (index * 7) & 255);
          const into = new Uint8Array(2000);
          let length = 0;
          const read = readFirst ? flow.read(into) : undefined;
          for (const [start, size] of [...pieces, [0, 1200] as const]) {
            t.receive({ flags: "A", seq: 1 + start, ack: 1, data: stream.subarray(start, start + size) });
          }
          t.takeAll();
          if (read !== undefined) length = await read;
          while (length < 1200) {
            const part = new Uint8Array(2000);
            const got = await flow.read(part);
            into.set(part.subarray(0, got), length);
            length += got;
          }
          expect(into.subarray(0, 1200)).toEqual(stream);
          flow.abort();
          expect(t.tcp.statistics.bufferBytes).toBe(0);
        },
      ),
    );
  });
});

test("a window smaller than two segments that was shut is opened without being asked", async () => {
  const t = new Transcript({ receiveBuffer: 2000, maxReceiveBuffer: 2000 });
  const flow = await t.established();
  t.receive({ flags: "A", seq: 1, ack: 1, length: 1460 });
  t.receive({ flags: "A", seq: 1461, ack: 1, length: 540 });
  t.takeAll();
  expect(await flow.read(new Uint8Array(900))).toBe(900);
  expect(t.takeAll()).toEqual([]);
  expect(await flow.read(new Uint8Array(900))).toBe(900);
  expect(t.take()).toMatchObject({ flags: "A", ack: 2001, win: 1800 });
});

describe("RFC 7323: timestamps", () => {
  async function openWithTimestamps() {
    const t = new Transcript({ timestamps: true });
    await t.listen();
    t.receive({ flags: "S", seq: 0, mss: 1460, timestamp: { value: 1000, echo: 0 } });
    const reply = t.take()!;
    expect(reply.timestamp!.echo).toBe(1000);
    t.receive({ flags: "A", seq: 1, ack: 1, timestamp: { value: 1001, echo: reply.timestamp!.value } });
    t.takeAll();
    return { t, flow: t.accepted[0]!, base: reply.timestamp!.value };
  }

  test("every segment carries them, and is shorter by them", async () => {
    const { t, flow } = await openWithTimestamps();
    await flow.write(new Uint8Array(2000));
    const first = t.take()!;
    expect(first).toMatchObject({ length: 1448, timestamp: { echo: 1001 } });
  });

  test("§4.3: what is echoed is the timestamp of the last segment in order", async () => {
    const { t } = await openWithTimestamps();
    const echoes: number[] = [];
    const data = (seq: number, value: number): void => {
      t.receive({ flags: "A", seq, ack: 1, length: 1000, timestamp: { value, echo: 0 } });
      for (let ack = t.take(); ack !== undefined; ack = t.take()) echoes.push(ack.timestamp!.echo);
    };
    data(1, 1010);
    data(2001, 1030);
    data(3001, 1040);
    data(1001, 1020);
    expect(echoes).toEqual([1010, 1010, 1010, 1020]);
  });

  test("§5: an old timestamp marks an old duplicate", async () => {
    const { t } = await openWithTimestamps();
    t.receive({ flags: "A", seq: 1, ack: 1, length: 10, timestamp: { value: 900, echo: 0 } });
    expect(t.takeAll()).toEqual(["A 1 ack 1"]);
    expect(t.tcp.statistics.oldTimestamps).toBe(1);
    expect(t.tcp.connections()[0]!.bytesReceived).toBe(0);
  });

  test("§3.2: a segment without one is dropped, a reset is not", async () => {
    const { t } = await openWithTimestamps();
    t.receive({ flags: "A", seq: 1, ack: 1, length: 10 });
    expect(t.takeAll()).toEqual([]);
    t.receive({ flags: "R", seq: 1 });
    expect(t.tcp.statistics.connections).toBe(0);
  });

  test("a SYN that came again is echoed, and its answer is no measurement", async () => {
    const t = new Transcript({ timestamps: true });
    await t.listen();
    t.receive({ flags: "S", seq: 0, mss: 1460, timestamp: { value: 1000, echo: 0 } });
    t.take();
    await t.advance(990);
    t.receive({ flags: "S", seq: 0, mss: 1460, timestamp: { value: 1990, echo: 0 } });
    const reply = t.take()!;
    expect(reply.timestamp!.echo).toBe(1990);
    await t.advance(5);
    t.receive({ flags: "A", seq: 1, ack: 1, timestamp: { value: 1995, echo: reply.timestamp!.value } });
    expect(t.tcp.connections()[0]!.roundTrip).toBeLessThan(10);
  });

  test("an ACK at the right edge of the window counts", async () => {
    const t = new Transcript({ receiveBuffer: 4000, maxReceiveBuffer: 4000 });
    const flow = await t.established();
    await flow.write(new Uint8Array(10));
    t.takeAll();
    // The first thousand bytes of a full window were lost.
    for (let seq = 1001; seq <= 3001; seq += 1000) t.receive({ flags: "A", seq, ack: 1, length: 1000 });
    expect(t.takeAll()).toEqual(["A 11 ack 1", "A 11 ack 1", "A 11 ack 1"]);
    t.receive({ flags: "A", seq: 4001, ack: 11 });
    expect(t.takeAll()).toEqual([]);
    expect(t.tcp.connections()[0]!.bytesAcknowledged).toBe(10);
  });

  test("an echo of before the last retransmission is no measurement: the ACK of the first copy may have been lost", async () => {
    const { t, flow, base } = await openWithTimestamps();
    const info = () => t.tcp.connections()[0]!;
    await flow.write(new Uint8Array(100));
    await t.advance(20_000);
    t.takeAll();
    t.receive({ flags: "A", seq: 1, ack: 101, timestamp: { value: 1400, echo: base } });
    expect(info().roundTrip).toBe(0);
    await flow.write(new Uint8Array(100));
    t.tcp.flush();
    await t.advance(20);
    t.receive({ flags: "A", seq: 1, ack: 201, timestamp: { value: 1500, echo: base + 20_000 } });
    expect(info()).toMatchObject({ roundTrip: 2.5, retransmissionTimeout: 202.5, backOff: 0 });
  });

  test("a retransmitted segment can be timed", async () => {
    const { t, flow, base } = await openWithTimestamps();
    await flow.write(new Uint8Array(100));
    await t.advance(300);
    t.takeAll();
    t.receive({ flags: "A", seq: 1, ack: 101, timestamp: { value: 1400, echo: base + 250 } });
    expect(t.tcp.connections()[0]!).toMatchObject({ backOff: 0 });
    expect(t.tcp.connections()[0]!.roundTrip).toBeGreaterThan(0);
  });

  test("a peer that does not offer them gets none", async () => {
    const t = new Transcript({ timestamps: true });
    const flow = await t.established();
    await flow.write(new Uint8Array(2000));
    expect(t.take()).not.toHaveProperty("timestamp");
  });
});

describe("the flow", () => {
  test("bytes go straight to a waiting reader: nothing is buffered", async () => {
    const { t, flow } = await open();
    const reading = flow.read(new Uint8Array(5000));
    for (let index = 0; index < 3; index++) t.receive({ flags: "A", seq: 1 + index * 1000, ack: 1, length: 1000 });
    expect(t.tcp.statistics.bufferBytes).toBe(0);
    expect(await reading).toBe(3000);
  });

  test("a write waits for room, and is rejected when the connection dies", async () => {
    const { t, flow } = await open({ sendBuffer: 10_000, maxSendBuffer: 10_000 });
    let written = false;
    const writing = flow.write(new Uint8Array(15_000)).then(() => (written = true));
    t.takeAll();
    await t.turn();
    expect(written).toBe(false);
    t.receive({ flags: "A", seq: 1, ack: 5001 });
    t.tcp.flush();
    await writing;
    const second = flow.write(new Uint8Array(15_000));
    t.receive({ flags: "R", seq: 1 });
    await expect(second).rejects.toMatchObject({ kind: "reset" });
  });

  test("what was read before a reset is delivered, the rest is an error", async () => {
    const { t, flow } = await open();
    const reading = flow.read(new Uint8Array(10));
    t.receive({ flags: "A", seq: 1, ack: 1, length: 5 });
    t.receive({ flags: "R", seq: 6 });
    expect(await reading).toBe(5);
    await expect(flow.read(new Uint8Array(10))).rejects.toMatchObject({ kind: "reset" });
  });

  test("what arrived before TIME-WAIT can be read after", async () => {
    const { t, flow } = await open();
    await flow.end();
    t.takeAll();
    t.receive({ flags: "FPA", seq: 1, ack: 2, length: 100 });
    expect(t.tcp.statistics.timeWait).toBe(1);
    expect(await flow.read(new Uint8Array(60))).toBe(60);
    expect(await flow.read(new Uint8Array(60))).toBe(40);
    expect(await flow.read(new Uint8Array(60))).toBe(0);
    await flow.close();
    expect(t.tcp.statistics.bufferBytes).toBe(0);
  });
});
