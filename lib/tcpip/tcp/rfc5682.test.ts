import { describe, expect, test } from "vitest";
import { Transcript } from "./transcript.ts";

const mss = 1000;

async function open(sackPermitted: boolean, timestamps = false) {
  const t = new Transcript({ congestion: "newreno", timestamps });
  await t.listen();
  t.receive({
    flags: "S",
    seq: 0,
    mss: timestamps ? mss + 12 : mss,
    sackPermitted,
    ...(timestamps ? { timestamp: { value: 5, echo: 0 } } : {}),
  });
  const first = t.take()!.timestamp?.value ?? 0;
  await t.advance(100);
  const ack = (ack: number, sack: [number, number][] = [], echo = 0): string[] => {
    t.receive({
      flags: "A",
      seq: 1,
      ack,
      ...(sack.length > 0 ? { sack } : {}),
      ...(timestamps ? { timestamp: { value: 6, echo: first + echo } } : {}),
    });
    return t.takeAll();
  };
  ack(1);
  return { t, flow: t.accepted[0]!, ack, info: () => t.tcp.connections()[0]! };
}

describe("RFC 5682: F-RTO", () => {
  test("without SACK: the path was slow; the window comes back, and nothing more is repeated", async () => {
    const { t, flow, ack, info } = await open(false);
    void flow.write(new Uint8Array(30_000));
    expect(t.takeAll()).toHaveLength(10);
    await t.advance(300);
    expect(t.takeAll()).toEqual(["A 1:1001 ack 1"]);
    expect(info()).toMatchObject({ recovery: "loss", congestionWindow: 1000, slowStartThreshold: 5000 });
    // Step 2b: the ACK moves on: two that are new.
    expect(ack(1001)).toEqual(["A 10001:11001 ack 1", "A 11001:12001 ack 1"]);
    // Step 3b: it moves on again, over what was sent once: it was the delay.
    ack(2001);
    expect(info()).toMatchObject({ recovery: "open", lost: 0, retransmits: 1 });
    expect(info().congestionWindow).toBeGreaterThanOrEqual(10_000);
    expect(t.tcp.statistics.spuriousRecoveries).toBe(1);
  });

  test("without SACK: a duplicate in step 3 says that the segments are missing", async () => {
    const { t, flow, ack, info } = await open(false);
    void flow.write(new Uint8Array(30_000));
    t.takeAll();
    await t.advance(300);
    t.takeAll();
    expect(ack(1001)).toEqual(["A 10001:11001 ack 1", "A 11001:12001 ack 1"]);
    // Both new ones arrive; the rest is gone.
    const lines = [...ack(1001), ...ack(1001)];
    expect(lines[0]).toBe("A 1001:2001 ack 1");
    expect(info().recovery).toBe("loss");
    expect(t.tcp.statistics.spuriousRecoveries).toBe(0);
  });

  test("with nothing new to send it goes on with what was lost", async () => {
    const { t, flow, ack } = await open(false);
    void flow.write(new Uint8Array(5000));
    t.takeAll();
    await t.advance(300);
    t.takeAll();
    expect(ack(1001)).toEqual(["A 1001:2001 ack 1", "A 2001:3001 ack 1"]);
  });

  test("with SACK: something that was sent once arrives after the timeout", async () => {
    const { t, flow, ack, info } = await open(true);
    void flow.write(new Uint8Array(10_000));
    t.takeAll();
    // A tail loss probe at 210 ms, the timeout 300 ms after it.
    await t.advance(520);
    expect(t.takeAll()).toEqual(["PA 9001:10001 ack 1", "A 1:1001 ack 1"]);
    ack(1001, [[2001, 3001]]);
    expect(info()).toMatchObject({ recovery: "open", lost: 0 });
    expect(info().congestionWindow).toBeGreaterThanOrEqual(10_000);
    expect(t.tcp.statistics.spuriousRecoveries).toBe(1);
  });
});

describe("RFC 3522: the Eifel algorithm", () => {
  test("an echo of before the retransmission: the first copy had arrived", async () => {
    const { t, flow, ack, info } = await open(false, true);
    void flow.write(new Uint8Array(5000));
    t.takeAll();
    await t.advance(310);
    expect(t.takeAll()).toEqual(["A 1:1001 ack 1"]);
    expect(info().recovery).toBe("loss");
    // Sent at 100 ms; the retransmission said 400.
    ack(1001, [], 100);
    expect(info()).toMatchObject({ recovery: "open", lost: 0, slowStartThreshold: 2 ** 30 });
    expect(t.tcp.statistics.spuriousRecoveries).toBe(1);
    ack(5001, [], 100);
    expect(info()).toMatchObject({ inFlight: 0, retransmits: 1 });
  });

  test("an echo of the retransmission: it was lost", async () => {
    const { t, flow, ack, info } = await open(false, true);
    void flow.write(new Uint8Array(5000));
    t.takeAll();
    await t.advance(310);
    t.takeAll();
    ack(1001, [], 400);
    expect(info()).toMatchObject({ recovery: "loss", slowStartThreshold: 2500 });
  });

  test("a fast retransmission that was for nothing is taken back, too", async () => {
    const { t, flow, ack, info } = await open(true, true);
    void flow.write(new Uint8Array(10_000));
    t.takeAll();
    await t.advance(100);
    expect(ack(1, [[1001, 4001]], 100)).toEqual(["A 1:1001 ack 1"]);
    expect(info().recovery).toBe("recovery");
    await t.advance(5);
    ack(4001, [], 100);
    expect(info()).toMatchObject({ recovery: "open", slowStartThreshold: 2 ** 30 });
    expect(info().congestionWindow).toBeGreaterThanOrEqual(10_000);
  });
});

describe("RFC 3708: D-SACK", () => {
  test("all that was sent again had arrived: the window comes back", async () => {
    const { t, flow, ack, info } = await open(true);
    void flow.write(new Uint8Array(10_000));
    t.takeAll();
    await t.advance(100);
    expect(ack(1, [[1001, 4001]])).toEqual(["A 1:1001 ack 1"]);
    await t.advance(5);
    // The first copy comes late, the second later.
    ack(10_001);
    expect(info()).toMatchObject({ recovery: "open", slowStartThreshold: 5000 });
    await t.advance(95);
    ack(10_001, [[1, 1001]]);
    expect(info()).toMatchObject({ slowStartThreshold: 2 ** 30 });
    expect(info().congestionWindow).toBeGreaterThanOrEqual(10_000);
    expect(t.tcp.statistics).toMatchObject({ spuriousRecoveries: 1, duplicatesReported: 1 });
  });

  test("one of two had not: nothing is taken back", async () => {
    const { t, flow, ack, info } = await open(true);
    void flow.write(new Uint8Array(10_000));
    t.takeAll();
    await t.advance(100);
    expect(ack(1, [[2001, 5001]])).toEqual(["A 1:1001 ack 1"]);
    expect(ack(1, [[2001, 8001]])).toEqual(["A 1001:2001 ack 1"]);
    await t.advance(100);
    ack(10_001);
    ack(10_001, [[1, 1001]]);
    expect(info().slowStartThreshold).toBe(5000);
    expect(t.tcp.statistics.spuriousRecoveries).toBe(0);
  });

  test("a report of what was never sent twice takes nothing back", async () => {
    const { t, flow, ack, info } = await open(true);
    void flow.write(new Uint8Array(10_000));
    t.takeAll();
    await t.advance(100);
    ack(1, [[1001, 4001]]);
    for (let round = 0; round < 10; round++) ack(1, [[-5000, -4000]]);
    expect(info()).toMatchObject({ recovery: "recovery", slowStartThreshold: 5000 });
  });
});
