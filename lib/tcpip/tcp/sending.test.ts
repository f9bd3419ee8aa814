import { describe, expect, test } from "vitest";
import { Transcript } from "./transcript.ts";

const mss = 1000;

async function open(win = 65_535, options = {}, listen = {}) {
  const t = new Transcript({ congestion: "newreno", ...options });
  const flow = await t.established({ mss, win }, listen);
  return { t, flow, info: () => t.tcp.connections()[0]! };
}

/** The times, from now on, at which segments leave while `ms` milliseconds pass. */
async function timesWithin(t: Transcript, ms: number): Promise<number[]> {
  t.tcp.flush();
  t.sent.length = 0;
  const start = t.clock.now();
  await t.advance(ms);
  const times = t.sent.map((each) => each.time - start);
  t.sent.length = 0;
  return times;
}

describe("RFC 6298: the retransmission timer", () => {
  test("a lost segment is sent again after the timeout, which doubles, until the user timeout", async () => {
    const { t, flow } = await open(65_535, { userTimeout: 20_000 });
    await flow.write(new Uint8Array(10));
    expect(await timesWithin(t, 60_000)).toEqual([200, 600, 1400, 3000, 6200, 12_600, 25_400]);
    await expect(flow.write(new Uint8Array(1))).rejects.toMatchObject({ kind: "timeout" });
    expect(t.scheduler.pending).toBe(0);
  });

  test("the timeout follows the measured round trip", async () => {
    const { t, flow, info } = await open();
    let at = 1;
    for (let round = 0; round < 40; round++) {
      await flow.write(new Uint8Array(10));
      t.tcp.flush();
      await t.advance(120);
      at += 10;
      t.receive({ flags: "A", seq: 1, ack: at });
    }
    t.takeAll();
    expect(info().roundTrip).toBeGreaterThan(118);
    expect(info().roundTrip).toBeLessThanOrEqual(120);
    expect(info().retransmissionTimeout).toBeGreaterThan(318);
    expect(info().retransmissionTimeout).toBeLessThan(330);
    expect(info().retransmits).toBe(0);
  });

  test("Karn: an ACK of a retransmitted segment is no measurement, and keeps the back-off", async () => {
    const { t, flow, info } = await open();
    await flow.write(new Uint8Array(10));
    await t.advance(700);
    expect(info().backOff).toBe(2);
    t.receive({ flags: "A", seq: 1, ack: 11 });
    expect(info()).toMatchObject({ backOff: 2, roundTrip: 0 });
    await flow.write(new Uint8Array(10));
    t.tcp.flush();
    await t.advance(30);
    t.receive({ flags: "A", seq: 1, ack: 21 });
    expect(info().backOff).toBe(0);
    expect(info().roundTrip).toBeGreaterThan(0);
  });

  test.each([
    ["one lost SYN", 1500, "PA 4001:5001 ack 1"],
    // RFC 5681 §3.1: and the window at one segment.
    ["two lost SYNs", 3500, "A 1:1001 ack 1"],
  ])("§5.7: after %s the timeout starts at three seconds", async (_, wait, last) => {
    const t = new Transcript();
    const connecting = t.connect();
    await t.advance(wait);
    t.sent.length = 1;
    t.take();
    t.receive({ flags: "SA", seq: 0, ack: 1, mss });
    const flow = await connecting;
    await flow.write(new Uint8Array(5000));
    t.tcp.flush();
    expect(t.takeAll().at(-1)).toBe(last);
    expect((await timesWithin(t, 5000))[0]).toBe(3000);
  });

  test("RFC 7323 §4.1: after a lost SYN a timestamp tells the round trip, either way", async () => {
    const t = new Transcript({ timestamps: true });
    const connecting = t.connect();
    t.take();
    await t.advance(1000);
    const again = t.take();
    await t.advance(30);
    const echo = again?.timestamp?.value ?? 0;
    t.receive({ flags: "SA", seq: 0, ack: 1, mss: 1000, timestamp: { value: 7, echo } });
    const flow = await connecting;
    await flow.write(new Uint8Array(500));
    expect(t.takeAll()).toEqual(["A 1 ack 1", "PA 1:501 ack 1"]);
    // SRTT of 30 ms, and 200.
    await t.advance(229);
    expect(t.takeAll()).toEqual([]);
    await t.advance(1);
    expect(t.takeAll()).toEqual(["PA 1:501 ack 1"]);

    const server = new Transcript({ timestamps: true });
    await server.listen();
    server.receive({ flags: "S", seq: 0, mss: 1000, timestamp: { value: 7, echo: 0 } });
    server.take();
    await server.advance(1000);
    const answer = server.take();
    await server.advance(50);
    const echoed = answer?.timestamp?.value ?? 0;
    server.receive({ flags: "A", seq: 1, ack: 1, timestamp: { value: 8, echo: echoed } });
    await server.accepted[0]?.write(new Uint8Array(500));
    expect(server.takeAll()).toEqual(["PA 1:501 ack 1"]);
    await server.advance(249);
    expect(server.takeAll()).toEqual([]);
    await server.advance(1);
    expect(server.takeAll()).toEqual(["PA 1:501 ack 1"]);
  });

  test("RFC 3522 §3.2: when only SYN-ACKs were lost, the window begins as ever, and no round trip was that long", async () => {
    const t = new Transcript({ timestamps: true });
    const connecting = t.connect();
    const first = t.take();
    // Sent again after one second and after three.
    await t.advance(4000);
    t.takeAll();
    t.receive({ flags: "SA", seq: 0, ack: 1, mss: 1000, timestamp: { value: 7, echo: first?.timestamp?.value ?? -1 } });
    const flow = await connecting;
    expect(t.tcp.connections()[0]).toMatchObject({ roundTrip: 0 });
    await flow.write(new Uint8Array(20_000));
    t.tcp.flush();
    expect(t.takeAll().filter((line) => line.includes(":"))).toHaveLength(10);
    expect((await timesWithin(t, 5000))[0]).toBe(3000);
  });

  test("RFC 3522 §3.2: when only ACKs of our SYN-ACK were lost, neither", async () => {
    const t = new Transcript({ timestamps: true });
    await t.listen();
    t.receive({ flags: "S", seq: 0, mss: 1000, timestamp: { value: 7, echo: 0 } });
    const first = t.take();
    await t.advance(4000);
    t.takeAll();
    t.receive({ flags: "A", seq: 1, ack: 1, timestamp: { value: 8, echo: first?.timestamp?.value ?? -1 } });
    expect(t.tcp.connections()[0]).toMatchObject({ roundTrip: 0 });
    await t.accepted[0]?.write(new Uint8Array(20_000));
    t.tcp.flush();
    expect(t.takeAll()).toHaveLength(10);
  });

  test("an ACK that covers everything stops the timer", async () => {
    const { t, flow } = await open();
    await flow.write(new Uint8Array(10));
    t.takeAll();
    t.receive({ flags: "A", seq: 1, ack: 11 });
    t.tcp.flush();
    expect(t.scheduler.pending).toBe(0);
  });

  test("after a timeout it goes on from the first hole, in slow start", async () => {
    const { t, flow, info } = await open();
    await flow.write(new Uint8Array(5000));
    expect(t.takeAll()).toHaveLength(5);
    await t.advance(250);
    expect(t.takeAll()).toEqual(["A 1:1001 ack 1"]);
    expect(info()).toMatchObject({ congestionWindow: mss, slowStartThreshold: 2500 });
    t.receive({ flags: "A", seq: 1, ack: 1001 });
    expect(t.takeAll()).toEqual(["A 1001:2001 ack 1", "A 2001:3001 ack 1"]);
    // The rest had arrived: nothing more is repeated.
    t.receive({ flags: "A", seq: 1, ack: 5001 });
    expect(t.takeAll()).toEqual([]);
    expect(t.scheduler.pending).toBe(0);
  });
});

describe("RFC 5681 and 6582: congestion control", () => {
  test("RFC 6928: ten segments to begin with, then one more for each acknowledged", async () => {
    const { t, flow } = await open();
    void flow.write(new Uint8Array(100_000));
    expect(t.takeAll()).toHaveLength(10);
    t.receive({ flags: "A", seq: 1, ack: 2001 });
    expect(t.takeAll()).toHaveLength(4);
    t.receive({ flags: "A", seq: 1, ack: 4001 });
    expect(t.takeAll()).toHaveLength(4);
  });

  test("RFC 6937: the third duplicate ACK retransmits, then every second one sends something new", async () => {
    const { t, flow, info } = await open();
    void flow.write(new Uint8Array(100_000));
    expect(t.takeAll()).toHaveLength(10);
    const duplicate = (): string[] => {
      t.receive({ flags: "A", seq: 1, ack: 1 });
      return t.takeAll();
    };
    // RFC 3042: the first two let new segments leave.
    expect(duplicate()).toEqual(["A 10001:11001 ack 1"]);
    expect(duplicate()).toEqual(["A 11001:12001 ack 1"]);
    expect(duplicate()).toEqual(["A 1:1001 ack 1"]);
    expect(info()).toMatchObject({ recovery: "recovery", slowStartThreshold: 5000, congestionWindow: 9000 });
    expect([4, 5, 6, 7, 8, 9].map(duplicate)).toEqual([
      [],
      [],
      ["A 12001:13001 ack 1"],
      [],
      [],
      ["A 13001:14001 ack 1"],
    ]);
    t.receive({ flags: "A", seq: 1, ack: 12_001 });
    expect(info()).toMatchObject({ recovery: "open", congestionWindow: 5000 });
    expect(t.takeAll()).toEqual(["A 14001:15001 ack 1", "A 15001:16001 ack 1", "A 16001:17001 ack 1"]);
    expect(t.tcp.statistics.fastRetransmits).toBe(1);
  });

  test("RFC 6582: a partial ACK retransmits the next hole at once", async () => {
    const { t, flow } = await open();
    void flow.write(new Uint8Array(100_000));
    t.takeAll();
    for (let round = 0; round < 3; round++) t.receive({ flags: "A", seq: 1, ack: 1 });
    t.takeAll();
    t.receive({ flags: "A", seq: 1, ack: 4001 });
    expect(t.takeAll()[0]).toBe("A 4001:5001 ack 1");
    t.receive({ flags: "A", seq: 1, ack: 7001 });
    expect(t.takeAll()[0]).toBe("A 7001:8001 ack 1");
    expect(t.tcp.statistics.fastRetransmits).toBe(1);
  });

  test("RFC 6582 §3.2: duplicates after a timeout are no sign of another loss", async () => {
    const { t, flow } = await open();
    await flow.write(new Uint8Array(5000));
    t.takeAll();
    await t.advance(250);
    t.takeAll();
    for (let round = 0; round < 5; round++) t.receive({ flags: "A", seq: 1, ack: 1 });
    expect(t.takeAll()).toEqual([]);
    expect(t.tcp.statistics.fastRetransmits).toBe(0);
  });

  test("an ACK with data, or with another window, is no duplicate", async () => {
    const { t, flow } = await open();
    await flow.write(new Uint8Array(5000));
    t.takeAll();
    for (let round = 0; round < 5; round++) {
      t.receive({ flags: "A", seq: 1 + round * 10, ack: 1, length: 10 });
      t.receive({ flags: "A", seq: 11 + round * 10, ack: 1, win: 60_000 + round });
    }
    expect(t.tcp.statistics.fastRetransmits).toBe(0);
  });

  test("a window that is not used does not grow", async () => {
    const { t, flow, info } = await open();
    for (let round = 1; round <= 20; round++) {
      await flow.write(new Uint8Array(mss));
      t.takeAll();
      t.receive({ flags: "A", seq: 1, ack: 1 + round * mss });
    }
    expect(info().congestionWindow).toBe(10 * mss);
  });

  test("RFC 5681 §4.1: after a pause it starts from the initial window", async () => {
    const { t, flow, info } = await open();
    void flow.write(new Uint8Array(30_000));
    let acked = 1;
    while (acked < 30_001) {
      const lines = t.takeAll();
      acked += lines.length * mss;
      t.receive({ flags: "A", seq: 1, ack: acked });
    }
    expect(info().congestionWindow).toBeGreaterThan(15 * mss);
    await t.advance(2000);
    void flow.write(new Uint8Array(30_000));
    expect(t.takeAll()).toHaveLength(10);
  });
});

describe("RFC 9293 §3.7.4: Nagle's algorithm", () => {
  test("one short segment in flight holds back the next", async () => {
    const { t, flow } = await open();
    await flow.write(new Uint8Array(10));
    expect(t.takeAll()).toEqual(["PA 1:11 ack 1"]);
    await flow.write(new Uint8Array(20));
    await flow.write(new Uint8Array(30));
    expect(t.takeAll()).toEqual([]);
    t.receive({ flags: "A", seq: 1, ack: 11 });
    expect(t.takeAll()).toEqual(["PA 11:61 ack 1"]);
  });

  test("the tail of a large write leaves at once", async () => {
    const { t, flow } = await open();
    await flow.write(new Uint8Array(2500));
    expect(t.takeAll()).toEqual(["A 1:1001 ack 1", "A 1001:2001 ack 1", "PA 2001:2501 ack 1"]);
  });

  test("noDelay sends each write", async () => {
    const { t, flow } = await open(65_535, {}, { noDelay: true });
    for (let round = 0; round < 3; round++) {
      await flow.write(new Uint8Array(10));
      expect(t.takeAll()).toHaveLength(1);
    }
  });

  test("a FIN takes the short segment with it", async () => {
    const { t, flow } = await open();
    await flow.write(new Uint8Array(10));
    t.takeAll();
    void flow.write(new Uint8Array(10));
    void flow.end();
    expect(t.takeAll()).toEqual(["FPA 11:21 ack 1"]);
  });

  test("more holds a short segment back: for the next write, or for 200 ms", async () => {
    const { t, flow } = await open();
    await flow.write(new Uint8Array(10), true);
    expect(t.takeAll()).toEqual([]);
    await flow.write(new Uint8Array(10));
    expect(t.takeAll()).toEqual(["PA 1:21 ack 1"]);
    t.receive({ flags: "A", seq: 1, ack: 21 });
    await flow.write(new Uint8Array(10), true);
    await t.advance(150);
    await flow.write(new Uint8Array(10), true);
    await t.advance(49);
    expect(t.takeAll()).toEqual([]);
    await t.advance(1);
    expect(t.takeAll()).toEqual(["PA 21:41 ack 1"]);
  });

  test("more lets full segments pass", async () => {
    const { t, flow } = await open();
    await flow.write(new Uint8Array(2500), true);
    expect(t.takeAll()).toEqual(["A 1:1001 ack 1", "A 1001:2001 ack 1"]);
  });
});

describe("RFC 9293 §3.8.6: the peer's window", () => {
  test("moves its edge with an ACK of something new on a segment sent again, and with no older one", async () => {
    const { t, flow } = await open(4000);
    await flow.write(new Uint8Array(3000));
    expect(t.takeAll()).toHaveLength(3);
    t.receive({ flags: "A", seq: 11, ack: 1001, win: 3000, length: 10 });
    t.receive({ flags: "A", seq: 1, ack: 3001, win: 1000, length: 10 });
    // Overtaken: sent between the two.
    t.receive({ flags: "A", seq: 21, ack: 2001, win: 2000 });
    await flow.write(new Uint8Array(3000));
    expect(t.takeAll().slice(-1)).toEqual(["A 3001:4001 ack 21"]);
  });

  test("§3.8.6.1: a shut window is probed for ever, as long as the peer answers", async () => {
    const { t, flow } = await open(0, { userTimeout: 100_000 });
    await flow.write(new Uint8Array(5000));
    expect(t.takeAll()).toEqual([]);
    const answered: number[] = [];
    while (t.clock.now() < 1_000_000) {
      await t.advance(1000);
      for (let probe = t.take(); probe !== undefined; probe = t.take()) {
        expect(probe).toMatchObject({ seq: 1, length: 1 });
        answered.push(t.clock.now());
        t.receive({ flags: "A", seq: 1, ack: 1, win: 0 });
      }
    }
    expect(answered.length).toBeGreaterThan(18);
    expect(t.tcp.statistics.fastRetransmits).toBe(0);
    t.receive({ flags: "A", seq: 1, ack: 1, win: 2000 });
    expect(t.takeAll()).toEqual(["A 1:1001 ack 1", "A 1001:2001 ack 1"]);
  });

  test("a peer that answers every probe is not given up between two of them", async () => {
    const { t, flow } = await open(0, { userTimeout: 20_000 });
    await flow.write(new Uint8Array(10));
    for (let at = 0; at < 600; at++) {
      await t.advance(1000);
      while (t.take() !== undefined) t.receive({ flags: "A", seq: 1, ack: 1, win: 0 });
    }
    expect(t.tcp.statistics).toMatchObject({ connections: 1, timeouts: 0 });
  });

  test("a peer that does not answer probes is given up", async () => {
    const { t, flow } = await open(0, { userTimeout: 100_000 });
    await flow.write(new Uint8Array(10));
    await t.advance(300_000);
    await expect(flow.write(new Uint8Array(1))).rejects.toMatchObject({ kind: "timeout" });
    expect(t.scheduler.pending).toBe(0);
  });

  test("a probe that was taken moves on", async () => {
    const { t, flow } = await open(0);
    await flow.write(new Uint8Array(100));
    await t.advance(1000);
    t.takeAll();
    t.receive({ flags: "A", seq: 1, ack: 2, win: 500 });
    expect(t.takeAll()).toEqual(["PA 2:101 ack 1"]);
  });

  test("data is never sent beyond the window; a FIN alone may be", async () => {
    const { t, flow } = await open(2000);
    void flow.write(new Uint8Array(2000));
    void flow.end();
    expect(t.takeAll()).toEqual(["A 1:1001 ack 1", "FPA 1001:2001 ack 1"]);
  });

  test("§3.8.6.2.1: a sliver of a window is left alone, half of the largest is used, 200 ms override", async () => {
    const { t, flow } = await open(600);
    await flow.write(new Uint8Array(5000));
    expect(t.takeAll()).toEqual(["A 1:601 ack 1"]);
    t.receive({ flags: "A", seq: 1, ack: 601, win: 200 });
    expect(t.takeAll()).toEqual([]);
    t.receive({ flags: "A", seq: 1, ack: 601, win: 300 });
    expect(t.takeAll()).toEqual(["A 601:901 ack 1"]);
    t.receive({ flags: "A", seq: 1, ack: 901, win: 100 });
    expect(t.takeAll()).toEqual([]);
    await t.advance(200);
    expect(t.takeAll()).toEqual(["A 901:1001 ack 1"]);
  });

  test("a window that shrinks is survived", async () => {
    const { t, flow } = await open(10_000);
    await flow.write(new Uint8Array(8000));
    t.takeAll();
    t.receive({ flags: "A", seq: 1, ack: 1001, win: 0 });
    await t.advance(1000);
    t.takeAll();
    t.receive({ flags: "A", seq: 1, ack: 1001, win: 10_000 });
    const lines = t.takeAll();
    expect(lines[0]).toBe("A 1001:2001 ack 1");
  });

  test("RFC 7323 §2: the peer's window is scaled, except in its SYN", async () => {
    const t = new Transcript();
    const flow = await t.established({ mss, windowShift: 7, win: 5 });
    void flow.write(new Uint8Array(5000));
    expect(t.tcp.connections()[0]!.sendWindow).toBe(640);
  });
});

describe("RFC 9293 §3.8.4: keep-alive", () => {
  test("probes an idle peer, and gives up after nine", async () => {
    const { t, flow } = await open(65_535, {}, { keepAlive: 10_000 });
    const reading = flow.read(new Uint8Array(1)).catch((error: unknown) => error);
    await t.advance(10_000);
    expect(t.takeAll()).toEqual(["A 0 ack 1"]);
    t.receive({ flags: "A", seq: 1, ack: 1 });
    await t.advance(9999);
    expect(t.takeAll()).toEqual([]);
    await t.advance(200_000);
    expect(t.takeAll()).toEqual([...new Array<string>(9).fill("A 0 ack 1"), "RA 1 ack 1"]);
    expect(await reading).toMatchObject({ kind: "timeout" });
    expect(t.scheduler.pending).toBe(0);
  });

  test("is off by default, and an idle connection has no timer armed", async () => {
    const { t } = await open();
    expect(t.scheduler.pending).toBe(0);
  });

  test("a probe of the peer's is answered", async () => {
    const { t } = await open();
    t.receive({ flags: "A", seq: 0, ack: 1 });
    expect(t.takeAll()).toEqual(["A 1 ack 1"]);
    t.receive({ flags: "A", seq: 0, ack: 1, length: 1 });
    expect(t.takeAll()).toEqual(["A 1 ack 1"]);
  });
});

describe("when IP has no page", () => {
  test("what could not be sent is tried again, and the connection goes on", async () => {
    const { t, flow } = await open();
    t.ip.hasPages = false;
    await flow.write(new Uint8Array(1500));
    expect(t.takeAll()).toEqual([]);
    await t.advance(100);
    expect(t.takeAll()).toEqual([]);
    t.ip.hasPages = true;
    await t.advance(200);
    expect(t.takeAll()).toEqual(["A 1:1001 ack 1", "PA 1001:1501 ack 1"]);
    expect(t.tcp.statistics.transmitStalls).toBeGreaterThan(2);
  });

  test("an ACK that could not be sent is tried again", async () => {
    const { t } = await open();
    t.ip.hasPages = false;
    t.receive({ flags: "PA", seq: 1, ack: 1, length: 10 });
    await t.advance(100);
    t.ip.hasPages = true;
    await t.advance(100);
    expect(t.takeAll()).toEqual(["A 1 ack 11"]);
  });
});
