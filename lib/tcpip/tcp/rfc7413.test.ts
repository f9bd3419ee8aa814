import { describe, expect, test } from "vitest";
import { Transcript } from "./transcript.ts";

const hello = new TextEncoder().encode("hello");
const mss = 1000;

/** A server, and a cookie that it gave. */
async function server(fastOpen = 10, listen = {}) {
  const t = new Transcript();
  await t.listen({ fastOpen, ...listen });
  const cookie = await cookieOf(t);
  return { t, cookie };
}

/** Asks for a cookie on a connection that comes to nothing. */
async function cookieOf(t: Transcript): Promise<Uint8Array> {
  const { peerPort } = t;
  t.peerPort = 39_999;
  t.receive({ flags: "S", mss, fastOpen: new Uint8Array(0) });
  const answer = t.take();
  expect(answer).toMatchObject({ flags: "SA", ack: 1 });
  t.receive({ flags: "R", seq: 1 });
  t.peerPort = peerPort;
  await t.turn();
  return answer!.fastOpen!;
}

async function readAll(t: Transcript, index = 0): Promise<string> {
  const into = new Uint8Array(100);
  const length = await t.accepted[index]!.read(into);
  return new TextDecoder().decode(into.subarray(0, length));
}

describe("RFC 7413 §4.2.2: a server", () => {
  test("gives a cookie of eight bytes to who asks, the same each time, and none without being asked", async () => {
    const { t, cookie } = await server();
    expect(cookie).toHaveLength(8);
    expect(await cookieOf(t)).toEqual(cookie);
    t.receive({ flags: "S", mss });
    expect(t.take()!.fastOpen).toBe(undefined);
  });

  test("takes data with a good cookie at once, answers before the handshake is complete, and completes it", async () => {
    const { t, cookie } = await server();
    t.receive({ flags: "S", mss, fastOpen: cookie, data: hello });
    expect(t.take()).toMatchObject({ flags: "SA", seq: 0, ack: 6, win: 65_535 - 5 });
    expect(t.accepted).toHaveLength(1);
    expect(await readAll(t)).toBe("hello");
    await t.accepted[0]!.write(new Uint8Array(1500));
    expect(t.takeAll().slice(-2)).toEqual(["A 1:1001 ack 6", "PA 1001:1501 ack 6"]);
    t.receive({ flags: "A", seq: 6, ack: 1501 });
    await t.advance(60_000);
    expect(t.takeAll()).toEqual([]);
    expect(t.tcp.statistics).toMatchObject({ fastOpenPassive: 1, passiveOpens: 1, connections: 1 });
    t.receive({ flags: "PA", seq: 6, ack: 1501, data: hello });
    expect(await readAll(t)).toBe("hello");
  });

  test.each([
    ["of somebody else", (cookie: Uint8Array) => cookie.map((byte, index) => (index === 7 ? byte ^ 1 : byte))],
    ["of another length", (cookie: Uint8Array) => cookie.slice(0, 4)],
  ])("leaves data with a cookie %s to be sent again, and gives a good one", async (_, change) => {
    const { t, cookie } = await server();
    t.receive({ flags: "S", mss, fastOpen: change(cookie), data: hello });
    expect(t.take()).toMatchObject({ flags: "SA", ack: 1, fastOpen: cookie });
    expect(t.accepted).toHaveLength(0);
    t.receive({ flags: "PA", seq: 1, ack: 1, data: hello });
    await t.turn();
    expect(await readAll(t)).toBe("hello");
    expect(t.tcp.statistics).toMatchObject({ fastOpenPassive: 0, fastOpenPassiveFails: 1 });
  });

  test("a cookie is good for the hour after its own, and not longer", async () => {
    const { t, cookie } = await server();
    await t.advance(3_600_000);
    t.receive({ flags: "S", mss, fastOpen: cookie, data: hello });
    expect(t.take()).toMatchObject({ flags: "SA", ack: 6 });
    await t.advance(3_600_000);
    t.peerPort++;
    t.receive({ flags: "S", mss, fastOpen: cookie, data: hello });
    expect(t.takeAll().at(-1)).toBe("SA 0 ack 1");
  });

  test("a listener that did not ask for it knows nothing of it", async () => {
    const { t, cookie } = await server();
    t.port = 81;
    await t.listen();
    t.receive({ flags: "S", mss, fastOpen: cookie, data: hello });
    const answer = t.take();
    expect(answer).toMatchObject({ flags: "SA", ack: 1 });
    expect(answer!.fastOpen).toBe(undefined);
  });

  test("the SYN-ACK is sent again until it is acknowledged, or the SYN comes again, and in the end given up", async () => {
    const { t, cookie } = await server();
    t.receive({ flags: "S", mss, fastOpen: cookie, data: hello });
    expect(t.takeAll()).toEqual(["SA 0 ack 6"]);
    await t.advance(3500);
    expect(t.takeAll()).toEqual(["SA 0 ack 6", "SA 0 ack 6"]);
    t.receive({ flags: "S", mss });
    expect(t.takeAll()).toEqual(["SA 0 ack 6"]);
    expect(await readAll(t)).toBe("hello");
    t.takeAll();
    const rest = expect(t.accepted[0]!.read(new Uint8Array(1))).rejects.toMatchObject({ kind: "timeout" });
    await t.advance(70_000);
    expect(t.takeAll()).toEqual(["SA 0 ack 6", "SA 0 ack 6", "SA 0 ack 6", "RA 1 ack 6"]);
    await rest;
    expect(t.tcp.statistics).toMatchObject({ connections: 0 });
    expect(t.scheduler.pending).toBe(0);
  });

  test("§5.1: only so many at a time; a handshake that ends frees its place, a reset does after a minute", async () => {
    const { t, cookie } = await server(2);
    const early = (): string[] => {
      t.peerPort++;
      t.receive({ flags: "S", mss, fastOpen: cookie, data: hello });
      return t.takeAll().slice(-1);
    };
    expect([early(), early()]).toEqual([["SA 0 ack 6"], ["SA 0 ack 6"]]);
    const { peerPort } = t;
    const acknowledgement = t.build({ flags: "A", seq: 6, ack: 1 });
    expect(early()).toEqual(["SA 0 ack 1"]);
    expect(t.tcp.statistics).toMatchObject({ fastOpenPassive: 2, fastOpenOverflows: 1 });
    t.ip.deliver(acknowledgement, 0, acknowledgement.length);
    t.peerPort = peerPort + 2;
    expect(early()).toEqual(["SA 0 ack 6"]);
    t.receive({ flags: "R", seq: 6 });
    expect(early()).toEqual(["SA 0 ack 1"]);
    await t.advance(61_000);
    expect(early()).toEqual(["SA 0 ack 6"]);
    t.accepted.at(-1)!.abort();
    expect(early()).toEqual(["SA 0 ack 6"]);
  });

  test("what cannot be a number of such places is refused", async () => {
    const t = new Transcript();
    await expect(t.listen({ fastOpen: -1 })).rejects.toThrow("fastOpen -1 is not an integer from 0 to 65535");
  });
});

const given = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);

/** A client that has a cookie; or, with an empty one, was answered without. */
async function client(cookie = given) {
  const t = new Transcript();
  const connecting = t.connect({ fastOpen: hello });
  expect(t.take()).toMatchObject({ flags: "S", length: 0, fastOpen: new Uint8Array(0) });
  t.receive({ flags: "SA", ack: 1, mss, ...(cookie.length === 0 ? {} : { fastOpen: cookie }) });
  const flow = await connecting;
  expect(t.takeAll()).toEqual(["PA 1:6 ack 1"]);
  t.receive({ flags: "RA", seq: 1, ack: 6 });
  await expect(flow.read(new Uint8Array(1))).rejects.toMatchObject({ kind: "reset" });
  return t;
}

describe("RFC 7413 §4.2.1: a client", () => {
  test("asks for a cookie first, and sends data with it the next time", async () => {
    const t = await client();
    const connecting = t.connect({ fastOpen: hello });
    expect(t.take()).toMatchObject({ flags: "S", seq: 0, length: 5, data: hello, fastOpen: given });
    t.receive({ flags: "SA", ack: 6, mss });
    const flow = await connecting;
    expect(t.takeAll()).toEqual(["A 6 ack 1"]);
    expect(t.tcp.statistics).toMatchObject({ fastOpenActive: 1, fastOpenActiveFails: 0 });
    await flow.write(hello);
    expect(t.takeAll()).toEqual(["PA 6:11 ack 1"]);
    t.receive({ flags: "A", seq: 1, ack: 11 });
    expect(t.tcp.connections()[0]).toMatchObject({ bytesAcknowledged: 10, inFlight: 0 });
  });

  test("sends at once what was not taken, and as much as a segment holds in the SYN", async () => {
    const t = await client();
    const connecting = t.connect({ fastOpen: new Uint8Array(1500) });
    expect(t.take()).toMatchObject({ flags: "S", length: mss - 40 });
    t.receive({ flags: "SA", ack: 1, mss });
    await connecting;
    expect(t.takeAll()).toEqual(["A 1:1001 ack 1", "PA 1001:1501 ack 1"]);
    expect(t.tcp.statistics).toMatchObject({ fastOpenActive: 0, fastOpenActiveFails: 1 });
  });

  test("an answer that takes a part of it is as good", async () => {
    const t = await client();
    const connecting = t.connect({ fastOpen: hello });
    t.takeAll();
    t.receive({ flags: "SA", ack: 4, mss });
    await connecting;
    expect(t.takeAll()).toEqual(["PA 4:6 ack 1"]);
  });

  test("does not ask a peer that gave nothing for ten minutes", async () => {
    const t = await client(new Uint8Array(0));
    const again = async (): Promise<Uint8Array | undefined> => {
      const connecting = t.connect({ fastOpen: hello });
      const syn = t.take()!;
      t.receive({ flags: "RA", ack: 1 });
      await expect(connecting).rejects.toMatchObject({ kind: "refused" });
      return syn.fastOpen;
    };
    expect(await again()).toBe(undefined);
    await t.advance(600_000);
    expect(await again()).toEqual(new Uint8Array(0));
  });

  test("sends a lost SYN again without it, and not with it for ten minutes if that was why", async () => {
    const t = await client();
    const connecting = t.connect({ fastOpen: hello });
    t.takeAll();
    await t.advance(1000);
    const again = t.take()!;
    expect(again).toMatchObject({ flags: "S", length: 0 });
    expect(again.fastOpen).toBe(undefined);
    t.receive({ flags: "SA", ack: 1, mss });
    const flow = await connecting;
    expect(t.takeAll()).toEqual(["PA 1:6 ack 1"]);
    flow.abort();
    t.connect({ fastOpen: hello }).catch(() => undefined);
    expect(t.takeAll().at(-1)).toBe("S 0");
  });

  test("the first SYN was taken after all, and only its answer was lost: nothing comes twice", async () => {
    const t = await client();
    const connecting = t.connect({ fastOpen: hello });
    t.takeAll();
    await t.advance(1000);
    expect(t.takeAll()).toEqual(["S 0"]);
    t.receive({ flags: "SA", ack: 6, mss });
    await connecting;
    expect(t.takeAll()).toEqual(["A 6 ack 1"]);
  });

  test("a simultaneous open with data that only one side had", async () => {
    const t = await client();
    const connecting = t.connect({ fastOpen: hello });
    t.takeAll();
    t.receive({ flags: "S", mss });
    expect(t.takeAll()).toEqual(["SA 0 ack 1"]);
    t.receive({ flags: "SA", seq: 0, ack: 1, mss });
    await connecting;
    expect(t.takeAll()).toEqual(["PA 1:6 ack 1"]);
  });

  test("one without asks for nothing", () => {
    const t = new Transcript();
    t.connect().catch(() => undefined);
    expect(t.take()!.fastOpen).toBe(undefined);
  });
});
