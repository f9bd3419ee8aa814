import { describe, expect, test } from "vitest";
import { TcpFlow } from "./flow.ts";
import { Transcript } from "./transcript.ts";
import { decodeUserTimeout, encodeUserTimeout, UserTimeout } from "./user-timeout.ts";

/** How long until the connection is given up when nothing is answered any more, milliseconds, to the second. */
async function patience(t: Transcript): Promise<number> {
  const start = t.clock.now();
  for (const limit = start + 8_000_000; t.clock.now() < limit && t.tcp.statistics.connections > 0;) {
    await t.advance(1000);
    t.sent.length = 0;
  }
  return t.clock.now() - start;
}

describe("RFC 5482 §2: the option", () => {
  test("counts seconds up to nine hours, then minutes", () => {
    expect(encodeUserTimeout(1)).toBe(1);
    expect(encodeUserTimeout(90_500)).toBe(91);
    expect(encodeUserTimeout(32_767_000)).toBe(32_767);
    expect(encodeUserTimeout(32_768_000)).toBe(0x8000 | 547);
    expect(encodeUserTimeout(1e12)).toBe(0xffff);
    expect(decodeUserTimeout(91)).toBe(91_000);
    expect(decodeUserTimeout(0x8000 | 547)).toBe(547 * 60_000);
    expect(decodeUserTimeout(0)).toBe(0);
  });

  test("is not sent and not heeded unless it is enabled", async () => {
    const t = new Transcript();
    await t.listen({ userTimeout: 400_000 });
    t.receive({ flags: "S", mss: 1000, userTimeout: 1000 });
    expect(t.take()?.userTimeout).toBeUndefined();
    t.receive({ flags: "A", seq: 1, ack: 1 });
    await t.accepted[0]!.write(new Uint8Array(10));
    const lasted = await patience(t);
    expect(lasted).toBeGreaterThanOrEqual(400_000);
    expect(lasted).toBeLessThan(520_000);
  });

  test("goes with SYN and SYN-ACK when the application has chosen a timeout", async () => {
    const server = new Transcript({ userTimeoutOption: true });
    await server.listen({ userTimeout: 600_000 });
    server.receive({ flags: "S" });
    expect(server.take()).toMatchObject({ flags: "SA", userTimeout: 600 });
    const client = new Transcript({ userTimeoutOption: true });
    void client.connect({ userTimeout: 60_000 }).catch(() => undefined);
    expect(client.take()).toMatchObject({ flags: "S", userTimeout: 60 });
    const standard = new Transcript({ userTimeoutOption: true });
    void standard.connect().catch(() => undefined);
    expect(standard.take()?.userTimeout).toBeUndefined();
  });

  test("goes with an ACK when the application chooses one later, and with no other segment", async () => {
    const t = new Transcript({ userTimeoutOption: true });
    const flow = await t.established({ mss: 1000 });
    if (!(flow instanceof TcpFlow)) throw new Error("the flow is not ours");
    flow.setUserTimeout(200_000);
    expect(t.take()).toMatchObject({ flags: "A", userTimeout: 200 });
    await flow.write(new Uint8Array(10));
    expect(t.take()?.userTimeout).toBeUndefined();
    expect(await patience(t)).toBeLessThan(330_000);
    expect(() => flow.setUserTimeout(0)).toThrow("userTimeout 0 is not above 0");
  });
});

describe("RFC 5482 §3.1: USER_TIMEOUT", () => {
  test("is the larger of both sides', within bounds", () => {
    const value = (chosen: number | undefined, remote: number): number => {
      const timeout = new UserTimeout(chosen, 300_000, true);
      timeout.received(remote);
      return timeout.value;
    };
    expect(value(undefined, 500_000)).toBe(500_000);
    expect(value(undefined, 1000)).toBe(100_000);
    expect(value(undefined, 1e9)).toBe(3_600_000);
    expect(value(undefined, 0)).toBe(300_000);
  });

  test("is not changed by the peer once the application has set it", () => {
    const timeout = new UserTimeout(20_000, 300_000, true);
    timeout.received(500_000);
    expect(timeout.value).toBe(20_000);
    const later = new UserTimeout(undefined, 300_000, true);
    later.received(500_000);
    later.set(30_000);
    later.received(900_000);
    expect(later.value).toBe(30_000);
  });

  test("a peer that expects to be away for long is waited for", async () => {
    const t = new Transcript({ userTimeoutOption: true });
    await t.listen();
    t.receive({ flags: "S", mss: 1000, userTimeout: 2000 });
    t.take();
    t.receive({ flags: "A", seq: 1, ack: 1 });
    await t.accepted[0]!.write(new Uint8Array(10));
    expect(await patience(t)).toBeGreaterThanOrEqual(2_000_000);
  });

  test("changes in the middle, by the option of any segment", async () => {
    const t = new Transcript({ userTimeoutOption: true });
    const flow = await t.established({ mss: 1000 });
    t.receive({ flags: "A", seq: 1, ack: 1, userTimeout: 0x8000 | 20 });
    await flow.write(new Uint8Array(10));
    expect(await patience(t)).toBeGreaterThanOrEqual(1_200_000);
  });
});

test("RFC 5482 §4.2: keep-alive does not end a connection before the user timeout would", async () => {
  const silent = async (userTimeout: number | undefined): Promise<number> => {
    const t = new Transcript({ userTimeoutOption: true });
    await t.listen({ keepAlive: 10_000, ...(userTimeout === undefined ? {} : { userTimeout }) });
    t.receive({ flags: "S", mss: 1000 });
    t.take();
    t.receive({ flags: "A", seq: 1, ack: 1 });
    return patience(t);
  };
  expect(await silent(undefined)).toBeLessThan(110_000);
  expect(await silent(500_000)).toBeGreaterThan(500_000);
});
