import { describe, expect, test } from "vitest";
import { Transcript } from "./transcript.ts";

const mss = 1000;

async function open(options = {}, syn = {}) {
  const t = new Transcript({ congestion: "newreno", ...options });
  const flow = await t.established({ mss, sackPermitted: true, roundTrip: 100, ...syn });
  const ack = (ack: number, ...sack: [number, number][]): string[] => {
    t.receive({ flags: "A", seq: 1, ack, sack });
    return t.takeAll();
  };
  return { t, flow, ack, info: () => t.tcp.connections()[0]! };
}

describe("RFC 8985 §6: RACK", () => {
  test("one SACKed segment is enough: what was sent before it is lost a quarter of a round trip later", async () => {
    const { t, flow, ack, info } = await open();
    void flow.write(new Uint8Array(2000));
    t.takeAll();
    await t.advance(100);
    expect(ack(1, [1001, 2001])).toEqual([]);
    await t.advance(24);
    expect(t.takeAll()).toEqual([]);
    await t.advance(1);
    expect(t.takeAll()).toEqual(["A 1:1001 ack 1"]);
    expect(info().recovery).toBe("recovery");
    expect(ack(2001)).toEqual([]);
    expect(info().recovery).toBe("open");
    expect(t.scheduler.pending).toBe(0);
  });

  test("what was sent again is found lost again after a timeout that was taken back, too; the back-off ends", async () => {
    const { t, flow, ack, info } = await open({}, { mss: 500 });
    void flow.write(new Uint8Array(20_000));
    t.takeAll();
    await t.advance(100);
    expect(ack(1, [1001, 2501])).toEqual(["A 1:501 ack 1"]);
    expect(ack(1, [1001, 3501])).toEqual(["A 501:1001 ack 1"]);
    // Both copies are lost, and so is everything that comes back, for two timeouts.
    await t.advance(300);
    expect(t.takeAll()).toEqual(["A 1:501 ack 1"]);
    await t.advance(600);
    expect(t.takeAll()).toEqual(["A 1:501 ack 1"]);
    expect(info()).toMatchObject({ backOff: 2, recovery: "loss" });
    await t.advance(50);
    // Something arrives that was sent only once: nothing but ACKs was lost, it seems. How long that took says nothing.
    const { roundTrip } = info();
    const more = ack(501, [1001, 4001]);
    expect(more[0]).toBe("A 5001:5501 ack 1");
    expect(info()).toMatchObject({ backOff: 2, recovery: "open", roundTrip });
    await t.advance(100);
    const again = ack(501, [1001, 4001], [5001, 5501]);
    expect(again).toContain("A 501:1001 ack 1");
    expect(info()).toMatchObject({ backOff: 0, recovery: "recovery" });
    expect(info().retransmissionTimeout).toBeLessThan(400);
  });

  test("three SACKed segments are a loss at once, as long as no reordering was seen", async () => {
    const { t, flow, ack } = await open();
    void flow.write(new Uint8Array(4000));
    t.takeAll();
    await t.advance(100);
    expect(ack(1, [1001, 4001])).toEqual(["A 1:1001 ack 1"]);
  });

  test("§6.2 step 3: where segments overtake each other, three are no sign", async () => {
    const { t, flow, ack, info } = await open();
    void flow.write(new Uint8Array(2000));
    t.takeAll();
    await t.advance(100);
    // The first comes after the second, without having been sent again.
    expect(ack(1, [1001, 2001])).toEqual([]);
    expect(ack(2001)).toEqual([]);
    void flow.write(new Uint8Array(5000));
    t.takeAll();
    await t.advance(100);
    expect(ack(2001, [3001, 7001])).toEqual([]);
    expect(info()).toMatchObject({ sacked: 4000, recovery: "open" });
    await t.advance(24);
    expect(t.takeAll()).toEqual([]);
    expect(ack(7001)).toEqual([]);
    expect(info()).toMatchObject({ retransmits: 0, recovery: "open" });
    expect(t.scheduler.pending).toBe(0);
  });

  test("§6.2 step 4: a duplicate that is reported widens the window, until sixteen recoveries have gone by", async () => {
    const { t, flow, ack } = await open();
    let at = 1;
    /** Two segments, of which the first comes late: after how long it is sent again. */
    const patience = async (): Promise<number> => {
      void flow.write(new Uint8Array(2000));
      t.takeAll();
      await t.advance(100);
      ack(at, [at + 1000, at + 2000]);
      for (let waited = 0; ; waited++) {
        const [line] = t.takeAll();
        if (line !== undefined) return waited;
        await t.advance(1);
      }
    };
    expect(await patience()).toBe(25);
    // Then both copies have come.
    at += 2000;
    ack(at, [at - 2000, at - 1000]);
    expect(await patience()).toBe(50);
    at += 2000;
    ack(at, [at - 2000, at - 1000]);
    expect(await patience()).toBe(75);
    at += 2000;
    ack(at);
    for (let recoveries = 2; recoveries <= 16; recoveries++) {
      expect(await patience()).toBe(75);
      at += 2000;
      ack(at);
    }
    expect(await patience()).toBe(25);
  });

  test("a retransmission that is lost is sent again, without a timeout", async () => {
    const { t, flow, ack, info } = await open();
    void flow.write(new Uint8Array(100_000));
    t.takeAll();
    await t.advance(100);
    // The fifth of those SACKed lets something new go.
    expect(ack(1, [1001, 4001])).toEqual(["A 1:1001 ack 1"]);
    const sent = [...ack(1, [1001, 6001]), ...ack(1, [1001, 8001]), ...ack(1, [1001, 10_001])];
    expect(sent.length).toBeGreaterThan(1);
    expect(sent[0]).toBe("A 10001:11001 ack 1");
    await t.advance(100);
    // What was sent after it has arrived; it has not.
    const end = 10_001 + sent.length * 1000;
    const lines = [...ack(1, [1001, 11_001]), ...ack(1, [1001, end])];
    expect(lines).toContain("A 1:1001 ack 1");
    expect(info().retransmits).toBe(2);
    expect(t.tcp.statistics.retransmissionTimeouts).toBe(0);
    ack(end);
    expect(info()).toMatchObject({ recovery: "open" });
  });

  test("where a round trip takes no time, a retransmission of this very moment is not lost yet", async () => {
    const { t, flow, ack } = await open({}, { roundTrip: 0 });
    void flow.write(new Uint8Array(3000));
    t.takeAll();
    expect(ack(1, [1001, 3001])).toEqual(["A 1:1001 ack 1"]);
    // A duplicate of what was sent before it: nothing new.
    expect(ack(1, [1001, 2001], [1001, 3001])).toEqual([]);
    await t.advance(1000);
    expect(t.takeAll()[0]).toBe("A 1:1001 ack 1");
  });

  test("§6.3: after a timeout, what was sent a moment ago is not lost yet", async () => {
    const { t, flow, ack, info } = await open({}, { win: 65_535 });
    void flow.write(new Uint8Array(1000));
    t.takeAll();
    await t.advance(100);
    ack(1001);
    void flow.write(new Uint8Array(1000));
    t.takeAll();
    await t.advance(290);
    // Something more, just before the timer expires.
    void flow.write(new Uint8Array(2000));
    t.takeAll();
    await t.advance(400);
    expect(t.tcp.statistics.retransmissionTimeouts).toBeGreaterThan(0);
    expect(info().recovery).toBe("loss");
    ack(4001);
    expect(info().recovery).toBe("open");
  });
});

describe("RFC 8985 §7: tail loss probes", () => {
  test("the last segment is sent again after two round trips; the answer repairs the rest", async () => {
    const { t, flow, ack, info } = await open();
    void flow.write(new Uint8Array(5000));
    t.takeAll();
    await t.advance(100);
    expect(ack(2001)).toEqual([]);
    // The last three are lost.
    await t.advance(209);
    expect(t.takeAll()).toEqual([]);
    await t.advance(1);
    expect(t.takeAll()).toEqual(["PA 4001:5001 ack 1"]);
    expect(t.tcp.statistics.tailLossProbes).toBe(1);
    await t.advance(100);
    // It tells what is missing; the reordering window has passed for the rest.
    expect(ack(2001, [4001, 5001])).toEqual(["A 2001:3001 ack 1"]);
    await t.advance(100);
    expect(ack(3001, [4001, 5001])).toEqual(["A 3001:4001 ack 1"]);
    await t.advance(100);
    expect(ack(5001)).toEqual([]);
    expect(info()).toMatchObject({ recovery: "open", inFlight: 0 });
    expect(t.tcp.statistics.retransmissionTimeouts).toBe(0);
    expect(t.scheduler.pending).toBe(0);
  });

  test("something new goes instead, if there is any, even beyond the congestion window", async () => {
    const { t, flow, info } = await open();
    void flow.write(new Uint8Array(20_000));
    expect(t.takeAll()).toHaveLength(10);
    await t.advance(210);
    expect(t.takeAll()).toEqual(["A 10001:11001 ack 1"]);
    expect(info()).toMatchObject({ retransmits: 0, congestionWindow: 10_000, inFlight: 11_000 });
  });

  test("§7.2: with less than two segments out, it waits for a delayed ACK, but not beyond the timeout", async () => {
    const { t, flow, info } = await open();
    void flow.write(new Uint8Array(1000));
    t.takeAll();
    const timeout = info().retransmissionTimeout;
    expect(timeout).toBe(300);
    await t.advance(299);
    expect(t.takeAll()).toEqual([]);
    await t.advance(1);
    expect(t.takeAll()).toEqual(["PA 1:1001 ack 1"]);
    expect(t.tcp.statistics).toMatchObject({ tailLossProbes: 1, retransmissionTimeouts: 0 });
    // One probe is enough: then it is a timeout.
    await t.advance(300);
    expect(t.tcp.statistics).toMatchObject({ tailLossProbes: 1, retransmissionTimeouts: 1 });
  });

  test("§7.4: a probe that repaired a loss halves the window", async () => {
    const { t, flow, ack, info } = await open();
    void flow.write(new Uint8Array(5000));
    t.takeAll();
    await t.advance(100);
    ack(4001);
    await t.advance(300);
    expect(t.takeAll()).toEqual(["PA 4001:5001 ack 1"]);
    const { congestionWindow } = info();
    await t.advance(100);
    ack(5001);
    // What comes next is acknowledged, and no duplicate was reported: the first copy is lost.
    void flow.write(new Uint8Array(1000));
    t.takeAll();
    await t.advance(100);
    ack(6001);
    expect(info().congestionWindow).toBeLessThan(congestionWindow);
    expect(info().recovery).toBe("open");
  });

  test("§7.4: a probe that was for nothing costs nothing", async () => {
    const { t, flow, ack, info } = await open();
    void flow.write(new Uint8Array(5000));
    t.takeAll();
    await t.advance(100);
    ack(4001);
    await t.advance(300);
    expect(t.takeAll()).toHaveLength(1);
    const { congestionWindow } = info();
    ack(5001);
    ack(5001, [4001, 5001]);
    void flow.write(new Uint8Array(1000));
    t.takeAll();
    await t.advance(100);
    ack(6001);
    expect(info().congestionWindow).toBeGreaterThanOrEqual(congestionWindow);
  });

  test("none without SACK, and none while something is SACKed", async () => {
    const plain = new Transcript({ congestion: "newreno" });
    const flow = await plain.established({ mss, roundTrip: 100 });
    void flow.write(new Uint8Array(5000));
    await plain.advance(299);
    expect(plain.tcp.statistics.tailLossProbes).toBe(0);
    const { t, flow: other, ack } = await open();
    void other.write(new Uint8Array(5000));
    t.takeAll();
    await t.advance(100);
    ack(1, [1001, 2001]);
    await t.advance(1000);
    expect(t.tcp.statistics.tailLossProbes).toBe(0);
  });
});

describe("RFC 6937: the window during recovery", () => {
  test("comes down to the threshold evenly: for two that arrive, one leaves", async () => {
    const { t, flow, ack, info } = await open();
    void flow.write(new Uint8Array(100_000));
    t.takeAll();
    await t.advance(100);
    let at = 1;
    // Grow to twenty segments.
    for (let round = 0; round < 10; round++, at += 1000) ack(at + 1000);
    expect(info().inFlight).toBe(20_000);
    await t.advance(100);
    const counts: number[] = [];
    for (let sacked = 1; sacked < 20; sacked++) counts.push(ack(at, [at + 1000, at + 1000 + sacked * 1000]).length);
    const sent = counts.reduce((sum, count) => sum + count);
    // Limited transmit, the retransmission, then every second.
    expect(counts.slice(0, 3)).toEqual([1, 1, 1]);
    for (let index = 3; index < counts.length; index++) expect(counts[index]).toBeLessThanOrEqual(1);
    expect(sent).toBeGreaterThanOrEqual(10);
    expect(sent).toBeLessThanOrEqual(12);
    await t.advance(100);
    const end = at + 20_000 + 2000;
    ack(end);
    expect(info()).toMatchObject({ recovery: "open", congestionWindow: info().slowStartThreshold });
  });
});
