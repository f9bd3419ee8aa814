// What our flows and listeners do at once, beyond the signatures.
import { FlowError } from "@tesserae/device/flow";
import { describe, expect, test } from "vitest";
import { TcpFlow } from "./flow.ts";
import { Transcript } from "./transcript.ts";

async function open(options: ConstructorParameters<typeof Transcript>[0] = {}) {
  const t = new Transcript(options);
  const flow = await t.established({ mss: 1000 });
  if (!(flow instanceof TcpFlow)) throw new Error("not a flow of ours");
  return { t, flow };
}

describe("writeNow", () => {
  test("takes what there is room for, and sends it", async () => {
    const { t, flow } = await open({ sendBuffer: 3000, maxSendBuffer: 3000 });
    expect(flow.writeNow(new Uint8Array(500))).toBe(500);
    expect(t.takeAll()).toEqual(["PA 1:501 ack 1"]);
    expect(flow.writeNow(new Uint8Array(5000))).toBe(2500);
    expect(flow.writeNow(new Uint8Array(1))).toBe(0);
    t.takeAll();
    t.receive({ flags: "A", seq: 1, ack: 501 });
    expect(flow.writeNow(new Uint8Array(5000))).toBe(500);
  });

  test("takes nothing while earlier writes wait", async () => {
    const { t, flow } = await open({ sendBuffer: 1000, maxSendBuffer: 1000 });
    const waiting = flow.write(new Uint8Array(1001).fill(1));
    t.takeAll();
    expect(flow.writeNow(new Uint8Array(10))).toBe(0);
    t.receive({ flags: "A", seq: 1, ack: 1001 });
    await waiting;
    expect(flow.writeNow(new Uint8Array(10))).toBe(10);
  });

  test("more holds a short segment back until the next write", async () => {
    const { t, flow } = await open();
    expect(flow.writeNow(new Uint8Array(10), true)).toBe(10);
    expect(t.takeAll()).toEqual([]);
    flow.writeNow(new Uint8Array(10));
    expect(t.takeAll()).toEqual(["PA 1:21 ack 1"]);
  });

  test("throws what the flow died of, and closed after the end", async () => {
    const ended = await open();
    await ended.flow.end();
    expect(() => ended.flow.writeNow(new Uint8Array(1))).toThrow(expect.objectContaining({ kind: "closed" }));
    const reset = await open();
    reset.t.receive({ flags: "R", seq: 1 });
    expect(() => reset.flow.writeNow(new Uint8Array(1))).toThrow(FlowError);
    expect(() => reset.flow.writeNow(new Uint8Array(1))).toThrow(expect.objectContaining({ kind: "reset" }));
  });
});

test("setNoDelay lets go at once what Nagle's algorithm holds back", async () => {
  const { t, flow } = await open();
  flow.writeNow(new Uint8Array(10));
  t.takeAll();
  flow.writeNow(new Uint8Array(10));
  expect(t.takeAll()).toEqual([]);
  flow.setNoDelay(true);
  expect(t.takeAll()).toEqual(["PA 11:21 ack 1"]);
  flow.setNoDelay(false);
  flow.writeNow(new Uint8Array(10));
  expect(t.takeAll()).toEqual([]);
});

test("setKeepAlive begins and ends probing while the connection is open", async () => {
  const { t, flow } = await open();
  await t.advance(100_000);
  expect(t.takeAll()).toEqual([]);
  flow.setKeepAlive(10_000);
  await t.advance(9999);
  expect(t.takeAll()).toEqual([]);
  await t.advance(1);
  expect(t.takeAll()).toEqual(["A 0 ack 1"]);
  flow.setKeepAlive(undefined);
  await t.advance(1_000_000);
  expect(t.takeAll()).toEqual([]);
  expect(() => flow.setKeepAlive(0)).toThrow(RangeError);
});

test("open listens at once, and throws what listen rejects with", () => {
  const t = new Transcript();
  const { local } = t.tcp.open({ port: 0 }, () => undefined);
  expect(local.port).toBeGreaterThan(1023);
  expect(() => t.tcp.open({ port: local.port }, () => undefined)).toThrow(
    expect.objectContaining({ kind: "address-in-use" }),
  );
  expect(() => t.tcp.open({ port: 65_536 }, () => undefined)).toThrow(RangeError);
});
