import { describe, expect, test } from "vitest";
import { Transcript } from "./transcript.ts";

/**
 * A connection in TIME-WAIT whose peer has sent up to number 1 (the next is 2), and, with timestamps, 1000 as the last.
 */
async function timeWait(timestamps: boolean): Promise<Transcript> {
  const t = new Transcript({ timestamps: true });
  await t.listen();
  const stamp = (value: number, echo: number) => (timestamps ? { timestamp: { value, echo } } : {});
  t.receive({ flags: "S", seq: 0, ...stamp(1000, 0) });
  const echo = t.take()?.timestamp?.value ?? 0;
  t.receive({ flags: "A", seq: 1, ack: 1, ...stamp(1000, echo) });
  t.tcp.flush();
  void t.accepted[0]!.close();
  t.takeAll();
  t.receive({ flags: "FA", seq: 1, ack: 2, ...stamp(1000, echo) });
  t.takeAll();
  expect(t.tcp.statistics.timeWait).toBe(1);
  return t;
}

describe("RFC 6191 §2: a SYN for a connection in TIME-WAIT", () => {
  test.each([
    ["with a later timestamp, and an earlier number", true, -500_000, 1001, true],
    ["with the same timestamp, and a later number", true, 3, 1000, true],
    ["with the same timestamp, and an earlier number", true, -500_000, 1000, false],
    ["with an earlier timestamp, and a later number", true, 500_000, 999, false],
    ["without a timestamp where there were some, and a later number", true, 3, undefined, true],
    ["without a timestamp where there were some, and an earlier number", true, -3, undefined, false],
    ["with a timestamp where there were none, whatever its number", false, -500_000, 5, true],
    ["without timestamps, and a later number", false, 3, undefined, true],
    ["without timestamps, and an earlier number", false, -3, undefined, false],
  ])("%s", async (_, before, seq, value, opens) => {
    const t = await timeWait(before);
    t.receive({ flags: "S", seq, ...(value === undefined ? {} : { timestamp: { value, echo: 0 } }) });
    // RFC 9293 §3.10.7.4: what opens nothing is acknowledged.
    expect(t.take()?.flags).toBe(opens ? "SA" : "A");
    expect(t.tcp.statistics).toMatchObject(opens ? { timeWait: 0, halfOpen: 1 } : { timeWait: 1, halfOpen: 0 });
  });

  test("our own number is beyond everything the old connection can have sent", async () => {
    const t = await timeWait(true);
    const old = t.iss;
    t.receive({ flags: "S", seq: 3, timestamp: { value: 2000, echo: 0 } });
    t.take();
    expect((t.iss - old) | 0).toBeGreaterThan(65_535);
  });

  test("without a listener nothing opens", async () => {
    const t = new Transcript();
    const connecting = t.connect();
    t.take();
    t.receive({ flags: "SA", seq: 0, ack: 1 });
    const flow = await connecting;
    void flow.close();
    t.takeAll();
    t.receive({ flags: "FA", seq: 1, ack: 2 });
    t.takeAll();
    t.receive({ flags: "S", seq: 100_000 });
    expect(t.takeAll()).toEqual(["A 2 ack 2"]);
    expect(t.tcp.statistics).toMatchObject({ timeWait: 1, halfOpen: 0 });
  });
});
