import type { Flow } from "@tesserae/device/flow";
import { describe, expect, test } from "vitest";
import { capable, congestionExperienced } from "./ecn.ts";
import { Transcript } from "./transcript.ts";

/** A connection that the peer has opened and that uses ECN, with segments of 1000 bytes. */
async function established(t: Transcript): Promise<Flow> {
  await t.listen();
  t.receive({ flags: "SEC", mss: 1000 });
  expect(t.take()).toMatchObject({ flags: "SAE" });
  t.receive({ flags: "A", seq: 1, ack: 1 });
  t.tcp.flush();
  return t.accepted[0]!;
}

/** What was sent since the last look: flags, first number, ECN bits. */
function sent(t: Transcript): string[] {
  const lines: string[] = [];
  for (let next = t.take(); next !== undefined; next = t.take()) {
    lines.push(`${next.flags} ${String(next.seq)} ${next.ecn === undefined ? "-" : String(next.ecn)}`);
  }
  return lines;
}

describe("RFC 3168 §6.1.1: agreeing", () => {
  test("a SYN that asks is answered, and data is sent as capable; the SYN-ACK and pure ACKs are not", async () => {
    const t = new Transcript();
    await t.listen();
    t.receive({ flags: "SEC", mss: 1000 });
    expect(sent(t)).toEqual(["SAE 0 -"]);
    t.receive({ flags: "A", seq: 1, ack: 1 });
    await t.accepted[0]!.write(new Uint8Array(1500));
    expect(sent(t)).toEqual(["A 1 2", "PA 1001 2"]);
    t.receive({ flags: "A", seq: 1, ack: 1501, length: 1000 });
    expect(sent(t)).toEqual(["A 1501 -"]);
    expect(t.tcp.connections()[0]).toMatchObject({ ecn: true });
  });

  test.each(["S", "SE", "SC"])("%s does not ask", async (flags) => {
    const t = new Transcript();
    await t.listen();
    t.receive({ flags, mss: 1000 });
    expect(sent(t)).toEqual(["SA 0 -"]);
    t.receive({ flags: "A", seq: 1, ack: 1 });
    await t.accepted[0]!.write(new Uint8Array(10));
    expect(sent(t)).toEqual(["PA 1 -"]);
    expect(t.tcp.connections()[0]).toMatchObject({ ecn: false });
  });

  test("it is refused where it is off, and asked for only where it is offered", async () => {
    const off = new Transcript({ ecn: "off" });
    await off.listen();
    off.receive({ flags: "SEC" });
    expect(sent(off)).toEqual(["SA 0 -"]);
    const standard = new Transcript();
    void standard.connect().catch(() => undefined);
    expect(sent(standard)).toEqual(["S 0 -"]);
    expect(() => new Transcript({ ecn: "on" as "off" })).toThrow('ecn "on" is none of offer, accept, off');
  });

  test.each([
    ["SAE", "PA 1 2"],
    ["SA", "PA 1 -"],
    ["SAEC", "PA 1 -"],
  ])("our SYN asks; after %s comes %s", async (flags, expected) => {
    const t = new Transcript({ ecn: "offer" });
    const connecting = t.connect();
    expect(sent(t)).toEqual(["SEC 0 -"]);
    t.receive({ flags, seq: 0, ack: 1, mss: 1000 });
    expect(sent(t)).toEqual(["A 1 -"]);
    await (await connecting).write(new Uint8Array(10));
    expect(sent(t)).toEqual([expected]);
  });

  test("both ask at the same moment (simultaneous open)", async () => {
    const t = new Transcript({ ecn: "offer" });
    const connecting = t.connect();
    t.take();
    t.receive({ flags: "SEC", seq: 0, mss: 1000 });
    expect(sent(t)).toEqual(["SAE 0 -"]);
    t.receive({ flags: "SAE", seq: 0, ack: 1, mss: 1000 });
    t.tcp.flush();
    t.take();
    await (await connecting).write(new Uint8Array(10));
    expect(sent(t)).toEqual(["PA 1 2"]);
  });

  test("§6.1.1.1: a SYN that asked and was lost is sent again without, and then there is none", async () => {
    const t = new Transcript({ ecn: "offer" });
    const connecting = t.connect();
    await t.advance(1000);
    expect(sent(t)).toEqual(["SEC 0 -", "S 0 -"]);
    t.receive({ flags: "SAE", seq: 0, ack: 1, mss: 1000 });
    t.take();
    await (await connecting).write(new Uint8Array(10));
    expect(sent(t)).toEqual(["PA 1 -"]);
  });

  test("a peer that asks no more in its second SYN gets none", async () => {
    const t = new Transcript();
    await t.listen();
    t.receive({ flags: "SEC", mss: 1000 });
    t.receive({ flags: "S", mss: 1000 });
    expect(sent(t)).toEqual(["SAE 0 -", "SA 0 -"]);
    t.receive({ flags: "A", seq: 1, ack: 1 });
    await t.accepted[0]!.write(new Uint8Array(10));
    expect(sent(t)).toEqual(["PA 1 -"]);
  });

  test("a SYN cookie has no room for it", async () => {
    const t = new Transcript({ maxHalfOpen: 1 });
    await t.listen();
    t.receive({ flags: "SEC" });
    t.take();
    t.peerPort++;
    t.receive({ flags: "SEC" });
    expect(sent(t)).toEqual(["SA 0 -"]);
    expect(t.tcp.statistics.cookiesSent).toBe(1);
  });
});

describe("RFC 3168 §6.1.2: the sender", () => {
  test("reduces once a round trip, and says so on the next new data", async () => {
    const t = new Transcript();
    const flow = await established(t);
    await flow.write(new Uint8Array(30_000));
    expect(sent(t)).toHaveLength(10);
    t.receive({ flags: "AE", seq: 1, ack: 1001 });
    expect(t.tcp.connections()[0]).toMatchObject({ congestionWindow: 7000, slowStartThreshold: 7000 });
    // 9000 in flight: nothing may leave until 3000 of it are acknowledged.
    t.receive({ flags: "AE", seq: 1, ack: 2001 });
    expect(sent(t)).toEqual([]);
    t.receive({ flags: "AE", seq: 1, ack: 4001 });
    expect(sent(t)).toEqual(["AC 10001 2"]);
    t.receive({ flags: "A", seq: 1, ack: 10_001 });
    const more = sent(t);
    expect(more.length).toBeGreaterThan(5);
    expect(more.every((line) => line.startsWith("A "))).toBe(true);
    expect(t.tcp.connections()[0]?.congestionWindow).toBeGreaterThanOrEqual(7000);
    // The next round trip.
    t.receive({ flags: "AE", seq: 1, ack: 11_001 });
    expect(t.tcp.connections()[0]?.congestionWindow).toBeLessThan(6000);
    expect(t.tcp.statistics.ecnReductions).toBe(2);
  });

  test("takes an echo for nothing where there is no ECN", async () => {
    const t = new Transcript();
    const flow = await t.established({ mss: 1000 });
    await flow.write(new Uint8Array(30_000));
    t.takeAll();
    t.receive({ flags: "AE", seq: 1, ack: 1001 });
    expect(t.tcp.connections()[0]?.congestionWindow).toBeGreaterThanOrEqual(10_000);
  });

  test("§6.1.5: sends again as not capable, and confirms the reduction with new data only", async () => {
    const t = new Transcript();
    const flow = await established(t);
    await flow.write(new Uint8Array(1000));
    expect(sent(t)).toEqual(["PA 1 2"]);
    await t.advance(300);
    expect(sent(t)).toEqual(["PA 1 -"]);
    t.receive({ flags: "A", seq: 1, ack: 1001 });
    await flow.write(new Uint8Array(1000));
    expect(sent(t)).toEqual(["PAC 1001 2"]);
    t.receive({ flags: "A", seq: 1, ack: 2001 });
    await flow.write(new Uint8Array(1000));
    expect(sent(t)).toEqual(["PA 2001 2"]);
  });

  test("§6.1.6: probes a shut window as not capable", async () => {
    const t = new Transcript();
    const flow = await established(t);
    t.receive({ flags: "A", seq: 1, ack: 1, win: 0 });
    await flow.write(new Uint8Array(1000));
    expect(sent(t)).toEqual([]);
    await t.advance(1000);
    expect(sent(t)[0]).toBe("A 1 -");
  });
});

describe("RFC 3168 §6.1.3: the receiver", () => {
  test("echoes a mark at once, and in every segment until the peer confirms", async () => {
    const t = new Transcript();
    const flow = await established(t);
    t.receive({ flags: "A", seq: 1, ack: 1, length: 100, ecn: congestionExperienced });
    expect(sent(t)).toEqual(["AE 1 -"]);
    t.receive({ flags: "A", seq: 101, ack: 1, length: 100, ecn: capable });
    await flow.write(new Uint8Array(10));
    expect(sent(t)).toEqual(["PAE 1 2"]);
    t.receive({ flags: "AC", seq: 201, ack: 11, length: 100, ecn: capable });
    await t.advance(100);
    expect(sent(t)).toEqual(["A 11 -"]);
  });

  test("goes on when the confirmation is marked, too", async () => {
    const t = new Transcript();
    await established(t);
    t.receive({ flags: "A", seq: 1, ack: 1, length: 100, ecn: congestionExperienced });
    t.receive({ flags: "AC", seq: 101, ack: 1, length: 100, ecn: congestionExperienced });
    await t.advance(100);
    expect(sent(t).at(-1)).toBe("AE 1 -");
  });

  test("§6.1.5: a mark beyond the window, or without data, counts for nothing", async () => {
    const t = new Transcript();
    await established(t);
    t.receive({ flags: "A", seq: -5000, ack: 1, length: 100, ecn: congestionExperienced });
    t.receive({ flags: "A", seq: 1, ack: 1, ecn: congestionExperienced });
    t.receive({ flags: "A", seq: 1, ack: 1, length: 100, ecn: capable });
    await t.advance(100);
    expect(sent(t).every((line) => line.startsWith("A "))).toBe(true);
  });

  test("does not echo without ECN", async () => {
    const t = new Transcript();
    await t.established();
    t.receive({ flags: "A", seq: 1, ack: 1, length: 100, ecn: congestionExperienced });
    await t.advance(100);
    expect(sent(t)).toEqual(["A 1 -"]);
  });
});
