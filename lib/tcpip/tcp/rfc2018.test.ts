import { describe, expect, test } from "vitest";
import { Transcript } from "./transcript.ts";

const mss = 1000;

async function open(options = {}, syn = {}) {
  const t = new Transcript({ congestion: "newreno", ...options });
  const flow = await t.established({ mss, sackPermitted: true, roundTrip: 100, ...syn });
  return { t, flow, info: () => t.tcp.connections()[0]! };
}

describe("RFC 2018 §2: SACK-permitted", () => {
  test("is answered when it is offered, and only then", async () => {
    const offered = new Transcript();
    await offered.listen();
    offered.receive({ flags: "S", mss, sackPermitted: true });
    expect(offered.take()).toMatchObject({ flags: "SA", sackPermitted: true });
    const plain = new Transcript();
    await plain.listen();
    plain.receive({ flags: "S", mss });
    expect(plain.take()).not.toHaveProperty("sackPermitted");
  });

  test("is offered, and used when it is answered", async () => {
    for (const sackPermitted of [true, false]) {
      const t = new Transcript();
      const connecting = t.connect();
      expect(t.take()).toMatchObject({ flags: "S", sackPermitted: true });
      t.receive({ flags: "SA", seq: 0, ack: 1, mss, sackPermitted });
      await connecting;
      t.takeAll();
      expect(t.tcp.connections()[0]!.sack).toBe(sackPermitted);
      t.receive({ flags: "A", seq: 1001, ack: 1, length: 1000 });
      expect(t.takeAll()).toEqual([sackPermitted ? "A 1 ack 1 sack 1001:2001" : "A 1 ack 1"]);
    }
  });

  test("can be turned off", async () => {
    const t = new Transcript({ sack: false });
    await t.listen();
    t.receive({ flags: "S", mss, sackPermitted: true });
    expect(t.take()).not.toHaveProperty("sackPermitted");
  });
});

describe("RFC 2018 §4: what a receiver reports", () => {
  test("the block of the segment that has just come is first, then those reported last", async () => {
    const { t } = await open();
    const acks: string[] = [];
    for (const seq of [2001, 4001, 6001, 8001, 10_001, 3001]) {
      t.receive({ flags: "A", seq, ack: 1, length: 1000 });
      acks.push(...t.takeAll());
    }
    expect(acks).toEqual([
      "A 1 ack 1 sack 2001:3001",
      "A 1 ack 1 sack 4001:5001 sack 2001:3001",
      "A 1 ack 1 sack 6001:7001 sack 4001:5001 sack 2001:3001",
      "A 1 ack 1 sack 8001:9001 sack 6001:7001 sack 4001:5001 sack 2001:3001",
      "A 1 ack 1 sack 10001:11001 sack 8001:9001 sack 6001:7001 sack 4001:5001",
      "A 1 ack 1 sack 2001:5001 sack 10001:11001 sack 8001:9001 sack 6001:7001",
    ]);
  });

  test("three blocks beside timestamps", async () => {
    const t = new Transcript({ timestamps: true });
    await t.listen();
    t.receive({ flags: "S", seq: 0, mss, sackPermitted: true, timestamp: { value: 1000, echo: 0 } });
    const { timestamp } = t.take()!;
    const stamp = { timestamp: { value: 1001, echo: timestamp!.value } };
    t.receive({ flags: "A", seq: 1, ack: 1, ...stamp });
    for (const seq of [2001, 4001, 6001, 8001]) t.receive({ flags: "A", seq, ack: 1, length: 1000, ...stamp });
    expect(t.takeAll().at(-1)).toBe("A 1 ack 1 sack 8001:9001 sack 6001:7001 sack 4001:5001");
  });

  test("a hole that is filled goes out of the report, and the rest stays in it", async () => {
    const { t } = await open();
    for (const seq of [1001, 3001]) t.receive({ flags: "A", seq, ack: 1, length: 1000 });
    t.takeAll();
    t.receive({ flags: "A", seq: 1, ack: 1, length: 1000 });
    expect(t.takeAll()).toEqual(["A 1 ack 2001 sack 3001:4001"]);
    t.receive({ flags: "A", seq: 2001, ack: 1, length: 1000 });
    expect(t.takeAll()).toEqual(["A 1 ack 4001"]);
  });

  test("data takes the report along when there is room for it, and is never longer than a segment", async () => {
    const { t, flow } = await open();
    t.receive({ flags: "A", seq: 1001, ack: 1, length: 1000 });
    t.takeAll();
    await flow.write(new Uint8Array(1100));
    expect(t.takeAll()).toEqual(["A 1:1001 ack 1", "PA 1001:1101 ack 1 sack 1001:2001"]);
  });
});

describe("RFC 2883: duplicates are reported", () => {
  test("§4.1.1: of what was acknowledged", async () => {
    const { t } = await open();
    t.receive({ flags: "A", seq: 1, ack: 1, length: 1000 });
    t.takeAll();
    t.receive({ flags: "A", seq: 1, ack: 1, length: 1000 });
    expect(t.takeAll()).toEqual(["A 1 ack 1001 sack 1:1001"]);
    t.receive({ flags: "A", seq: 501, ack: 1, length: 1000 });
    expect(t.takeAll()).toEqual(["A 1 ack 1501 sack 501:1001"]);
    t.receive({ flags: "A", seq: 1501, ack: 1, length: 1000 });
    expect(t.takeAll()).toEqual(["A 1 ack 2501"]);
  });

  test("§4.1.2 and §4.2.1: of what was SACKed, with the block it is part of behind it", async () => {
    const { t } = await open();
    for (const seq of [1001, 2001, 4001]) t.receive({ flags: "A", seq, ack: 1, length: 1000 });
    t.takeAll();
    t.receive({ flags: "A", seq: 2001, ack: 1, length: 1000 });
    expect(t.takeAll()).toEqual(["A 1 ack 1 sack 2001:3001 sack 1001:3001 sack 4001:5001"]);
    // §4.2.2: the part that had come.
    t.receive({ flags: "A", seq: 2501, ack: 1, length: 1000 });
    expect(t.takeAll()).toEqual(["A 1 ack 1 sack 2501:3001 sack 1001:3501 sack 4001:5001"]);
  });
});

describe("RFC 6675: a sender with a scoreboard", () => {
  test("sends again what is missing, and nothing else", async () => {
    const { t, flow, info } = await open();
    void flow.write(new Uint8Array(10_000));
    expect(t.takeAll()).toHaveLength(10);
    await t.advance(100);
    // 1, 4 and 5 of ten are lost.
    const sack = (...blocks: [number, number][]): string[] => {
      t.receive({ flags: "A", seq: 1, ack: 1, sack: blocks });
      return t.takeAll();
    };
    expect(sack([1001, 2001])).toEqual([]);
    expect(sack([1001, 3001])).toEqual([]);
    expect(sack([5001, 6001], [1001, 3001])).toEqual(["A 1:1001 ack 1"]);
    expect(info()).toMatchObject({ recovery: "recovery", sacked: 3000, lost: 3000, repeating: 1000 });
    // RFC 6937: as much as has arrived.
    expect(sack([5001, 8001], [1001, 3001])).toEqual(["A 3001:4001 ack 1", "A 4001:5001 ack 1"]);
    expect(sack([5001, 10_001], [1001, 3001])).toEqual([]);
    expect(info()).toMatchObject({ inFlight: 10_000, sacked: 7000, lost: 3000, repeating: 3000 });
    t.receive({ flags: "A", seq: 1, ack: 3001, sack: [[5001, 10_001]] });
    t.receive({ flags: "A", seq: 1, ack: 10_001 });
    expect(t.takeAll()).toEqual([]);
    expect(info()).toMatchObject({ recovery: "open", inFlight: 0, sacked: 0, lost: 0, repeating: 0, retransmits: 3 });
    expect(t.scheduler.pending).toBe(0);
  });

  test("a lost FIN is sent again", async () => {
    const { t, flow } = await open();
    void flow.write(new Uint8Array(3000));
    void flow.end();
    expect(t.takeAll()).toEqual(["A 1:1001 ack 1", "A 1001:2001 ack 1", "FPA 2001:3001 ack 1"]);
    await t.advance(100);
    t.receive({ flags: "A", seq: 1, ack: 2001 });
    await t.advance(500);
    expect(t.takeAll()[0]).toBe("FPA 2001:3001 ack 1");
    t.receive({ flags: "A", seq: 1, ack: 3002 });
    expect(t.tcp.connections()[0]!.state).toBe("FIN-WAIT-2");
  });

  test("after a timeout nothing is repeated that was SACKed", async () => {
    const { t, flow } = await open();
    void flow.write(new Uint8Array(5000));
    t.takeAll();
    await t.advance(10);
    t.receive({ flags: "A", seq: 1, ack: 1, sack: [[2001, 4001]] });
    await t.advance(150);
    expect(t.takeAll()).toEqual(["A 1:1001 ack 1"]);
    await t.advance(300);
    expect(t.takeAll()).toEqual(["A 1:1001 ack 1"]);
    expect(t.tcp.statistics.retransmissionTimeouts).toBe(1);
    t.receive({ flags: "A", seq: 1, ack: 1001, sack: [[2001, 4001]] });
    expect(t.takeAll()).toEqual(["A 1001:2001 ack 1", "PA 4001:5001 ack 1"]);
  });
});

describe("RFC 2018 §8: a receiver that reneges", () => {
  test("gets what it has thrown away again after a timeout", async () => {
    const { t, flow, info } = await open();
    void flow.write(new Uint8Array(4000));
    t.takeAll();
    await t.advance(10);
    t.receive({ flags: "A", seq: 1, ack: 1, sack: [[1001, 4001]] });
    expect(t.takeAll()).toEqual(["A 1:1001 ack 1"]);
    // It SACKed all of the rest, and now acknowledges only the first.
    t.receive({ flags: "A", seq: 1, ack: 1001 });
    expect(info().sacked).toBe(3000);
    const lines: string[] = [];
    for (let round = 0, ack = 1001; round < 20 && ack < 4001; round++) {
      await t.advance(300);
      const sent = t.takeAll();
      lines.push(...sent);
      if (sent.length > 0) ack += 1000;
      t.receive({ flags: "A", seq: 1, ack });
    }
    expect(lines.map((line) => line.split(" ")[1])).toEqual(
      expect.arrayContaining(["1001:2001", "2001:3001", "3001:4001"]),
    );
    expect(info()).toMatchObject({ inFlight: 0, sacked: 0 });
  });
});

describe("hostile SACK blocks", () => {
  const absurd: [string, [number, number][]][] = [
    ["of what was never sent", [[1, 20_001]]],
    ["beyond all that was sent", [[20_001, 30_001]]],
    ["turned round", [[5001, 1001]]],
    ["empty", [[1001, 1001]]],
    ["half of the number space", [[1, 2 ** 31 - 10]]],
    ["a byte of a segment", [[1001, 1002]]],
    ["below what is acknowledged by a gigabyte", [[-(2 ** 30) - 5, -(2 ** 30) - 1]]],
  ];
  for (const [name, sack] of absurd) {
    test(`${name}: nothing is SACKed, and everything arrives`, async () => {
      const { t, flow, info } = await open();
      void flow.write(new Uint8Array(10_000));
      t.takeAll();
      for (let round = 0; round < 5; round++) t.receive({ flags: "A", seq: 1, ack: 1, sack });
      expect(info()).toMatchObject({ sacked: 0, lost: 0 });
      t.receive({ flags: "A", seq: 1, ack: 10_001 });
      expect(info()).toMatchObject({ inFlight: 0, recovery: "open" });
    });
  }

  test("CVE-2019-11477: segments of the least size, SACKed and lost by turns, keep their count", async () => {
    const { t, flow, info } = await open(
      { maxSendBuffer: 4_194_304, sendBuffer: 4_194_304 },
      { mss: 48, windowShift: 14 },
    );
    void flow.write(new Uint8Array(2_000_000));
    const size = info().mss;
    let ack = 1;
    for (let round = 0; round < 8; round++) {
      const lines = t.takeAll();
      for (let line = 0; line < lines.length; line++) {
        ack += size;
        t.receive({ flags: "A", seq: 1, ack, win: 65_535 });
      }
    }
    t.takeAll();
    const { inFlight } = info();
    expect(inFlight / size).toBeGreaterThan(2000);
    for (let at = ack + size; at + size <= ack + inFlight; at += 2 * size) {
      t.receive({ flags: "A", seq: 1, ack, win: 65_535, sack: [[at, at + size]] });
      const { sacked, lost, repeating } = info();
      expect(sacked + lost).toBeLessThanOrEqual(info().inFlight);
      expect(repeating).toBeLessThanOrEqual(info().inFlight);
    }
    t.takeAll();
    t.receive({ flags: "A", seq: 1, ack: ack + inFlight, win: 65_535 });
    expect(info()).toMatchObject({ lost: 0, sacked: 0, repeating: 0 });
  });
});
