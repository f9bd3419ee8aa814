import { FlowError } from "@tesserae/device/flow";
import { describe, expect, test } from "vitest";
import { Transcript } from "./transcript.ts";

function stateOf(t: Transcript): string | undefined {
  return t.tcp.connections()[0]?.state;
}

async function kindOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return "resolved";
  } catch (error) {
    return error instanceof FlowError ? error.kind : String(error);
  }
}

describe("RFC 9293 §3.5: opening", () => {
  test("figure 6: an active open", async () => {
    const t = new Transcript();
    const connecting = t.connect();
    expect(t.take()).toMatchObject({ flags: "S", seq: 0, mss: 1460, windowShift: 7, win: 65_535 });
    t.receive({ flags: "SA", seq: 0, ack: 1, mss: 1000 });
    expect(t.takeAll()).toEqual(["A 1 ack 1"]);
    const flow = await connecting;
    expect(stateOf(t)).toBe("ESTABLISHED");
    await flow.write(new Uint8Array(1500));
    expect(t.takeAll()).toEqual(["A 1:1001 ack 1", "PA 1001:1501 ack 1"]);
  });

  test("a passive open", async () => {
    const t = new Transcript();
    await t.listen();
    t.receive({ flags: "S", seq: 0, mss: 1460, windowShift: 3 });
    expect(t.take()).toMatchObject({ flags: "SA", seq: 0, ack: 1, mss: 1460, windowShift: 7 });
    expect(t.tcp.statistics).toMatchObject({ halfOpen: 1, connections: 0 });
    t.receive({ flags: "A", seq: 1, ack: 1, win: 100 });
    expect(t.takeAll()).toEqual([]);
    expect(t.accepted).toHaveLength(1);
    expect(t.tcp.connections()[0]).toMatchObject({ state: "ESTABLISHED", sendWindow: 800, windowShift: [3, 7] });
  });

  test("figure 7: a simultaneous open", async () => {
    const t = new Transcript();
    const connecting = t.connect();
    expect(t.take()).toMatchObject({ flags: "S" });
    t.receive({ flags: "S", seq: 0, mss: 1460, windowShift: 2 });
    expect(t.takeAll()).toEqual(["SA 0 ack 1"]);
    expect(stateOf(t)).toBe("SYN-RECEIVED");
    t.receive({ flags: "SA", seq: 0, ack: 1, mss: 1460, windowShift: 2 });
    await connecting;
    expect(stateOf(t)).toBe("ESTABLISHED");
    expect(t.takeAll()).toEqual(["A 1 ack 1"]);
  });

  test("figure 8: an old duplicate SYN is answered with a reset by the peer, and we listen on", async () => {
    const t = new Transcript();
    await t.listen();
    t.receive({ flags: "S", seq: 90 });
    expect(t.takeAll()).toEqual(["SA 0 ack 91"]);
    t.receive({ flags: "R", seq: 91 });
    expect(t.tcp.statistics.halfOpen).toBe(0);
    t.receive({ flags: "S", seq: 100 });
    expect(t.take()).toMatchObject({ flags: "SA", ack: 101 });
  });

  test("a peer that starts anew while half open finds out, and gets through", async () => {
    const t = new Transcript();
    await t.listen();
    t.receive({ flags: "S", seq: 0 });
    t.take();
    t.receive({ flags: "S", seq: 500_000 });
    expect(t.takeAll()).toEqual(["SA 0 ack 1"]);
    t.receive({ flags: "R", seq: 1 });
    t.receive({ flags: "S", seq: 500_000 });
    expect(t.takeAll()).toEqual(["SA 0 ack 500001"]);
  });

  test("a reset that does not match a half-open connection changes nothing", async () => {
    const t = new Transcript();
    await t.listen();
    t.receive({ flags: "S", seq: 0 });
    t.receive({ flags: "R", seq: 2 });
    expect(t.tcp.statistics.halfOpen).toBe(1);
  });

  test("an ACK of what we never sent is reset, in SYN-SENT and from a listener", async () => {
    const t = new Transcript();
    const connecting = t.connect();
    t.take();
    t.receive({ flags: "SA", seq: 0, ack: 77 });
    expect(t.takeAll()).toEqual(["R 77"]);
    expect(stateOf(t)).toBe("SYN-SENT");
    t.receive({ flags: "A", seq: 0, ack: 0 });
    expect(t.takeAll()).toEqual(["R 0"]);
    t.receive({ flags: "RA", seq: 0, ack: 1 });
    expect(await kindOf(connecting)).toBe("refused");

    const other = new Transcript();
    await other.listen();
    other.receive({ flags: "A", seq: 5, ack: 99 });
    expect(other.takeAll()).toEqual(["R 99"]);
  });

  test("a reset without an ACK, or with a wrong one, does not end SYN-SENT", async () => {
    const t = new Transcript();
    void t.connect().catch(() => undefined);
    t.take();
    t.receive({ flags: "R", seq: 0 });
    t.receive({ flags: "RA", seq: 0, ack: 5 });
    expect(stateOf(t)).toBe("SYN-SENT");
    expect(t.takeAll()).toEqual([]);
    await t.tcp.close();
  });

  test("§3.10.7.1: a segment for nobody is reset, a reset is not", () => {
    const t = new Transcript();
    t.receive({ flags: "S", seq: 10 });
    expect(t.takeAll()).toEqual(["RA 0 ack 11"]);
    t.receive({ flags: "A", seq: 10, ack: 500, length: 3 });
    expect(t.takeAll()).toEqual(["R 500"]);
    t.receive({ flags: "R", seq: 10 });
    expect(t.takeAll()).toEqual([]);
  });

  test("§3.8.3: the SYN is sent again after 1, 2, 4, … seconds and given up after three minutes", async () => {
    const t = new Transcript();
    const result = kindOf(t.connect());
    await t.advance(400_000);
    const first = t.sent[0]?.time ?? 0;
    expect(t.sent.map((each) => each.time - first)).toEqual([0, 1000, 3000, 7000, 15_000, 31_000, 63_000, 123_000]);
    expect(await result).toBe("timeout");
    expect(t.scheduler.pending).toBe(0);
  });

  test("a connect with a timeout of its own ends on time; an aborted one at once", async () => {
    const t = new Transcript();
    const result = kindOf(t.connect({ timeout: 2500 }));
    await t.advance(2499);
    expect(stateOf(t)).toBe("SYN-SENT");
    await t.advance(1);
    expect(await result).toBe("timeout");
    const controller = new AbortController();
    const other = kindOf(t.connect({ signal: controller.signal }));
    controller.abort();
    expect(await other).toBe("aborted");
    expect(t.tcp.statistics.connections).toBe(0);
    expect(t.scheduler.pending).toBe(0);
  });

  test("a SYN-ACK is sent again after 1, 2, 4, 8 and 16 seconds, then forgotten", async () => {
    const t = new Transcript();
    await t.listen();
    t.receive({ flags: "S", seq: 0 });
    await t.advance(200_000);
    expect(t.sent.map((each) => each.time)).toEqual([0, 1000, 3000, 7000, 15_000, 31_000]);
    expect(t.tcp.statistics).toMatchObject({ halfOpen: 0, attemptFails: 1 });
    expect(t.scheduler.pending).toBe(0);
  });

  test("the ACK of the handshake may carry data; data without it does not open", async () => {
    const t = new Transcript();
    await t.listen();
    t.receive({ flags: "S", seq: 0 });
    t.take();
    t.receive({ flags: "PA", seq: 1, ack: 1, length: 5 });
    expect(t.accepted).toHaveLength(1);
    expect(await t.accepted[0]!.read(new Uint8Array(10))).toBe(5);
  });
});

describe("RFC 9293 §3.4: sequence numbers", () => {
  test("both sides' numbers pass 2^32 in the middle of a transfer", async () => {
    const probe = new Transcript();
    await probe.listen();
    probe.receive({ flags: "S", seq: 0 });
    probe.take();
    const t = new Transcript();
    // Our numbers tick every 4 µs: waits until 1000 are left before they wrap.
    t.clock.advanceTo(((-1000 - probe.iss) >>> 0) / 250);
    await t.listen();
    t.receive({ flags: "S", seq: -1000, mss: 600 });
    t.take();
    expect(t.iss).toBe(2 ** 32 - 1000);
    t.receive({ flags: "A", seq: -999, ack: 1 });
    const flow = t.accepted[0]!;
    await flow.write(new Uint8Array(3000));
    expect(t.takeAll().map((line) => line.slice(0, line.indexOf(" ack")))).toEqual([
      "A 1:601",
      "A 601:1201",
      "A 1201:1801",
      "A 1801:2401",
      "PA 2401:3001",
    ]);
    for (let at = 0; at < 3000; at += 600) t.receive({ flags: "A", seq: -999 + at, ack: 1 + at, length: 600 });
    t.receive({ flags: "A", seq: 2001, ack: 3001 });
    expect(await flow.read(new Uint8Array(5000))).toBe(3000);
    expect(t.takeAll().at(-1)).toBe("A 3001 ack 2001");
    expect(t.tcp.connections()[0]).toMatchObject({ inFlight: 0, bytesAcknowledged: 3000, retransmits: 0 });
  });
});

describe("RFC 9293 §3.6: closing", () => {
  test("figure 12: we close first, TIME-WAIT lasts 2 MSL", async () => {
    const t = new Transcript();
    const flow = await t.established();
    const closed = flow.close();
    expect(t.takeAll()).toEqual(["FA 1 ack 1"]);
    expect(stateOf(t)).toBe("FIN-WAIT-1");
    t.receive({ flags: "A", seq: 1, ack: 2 });
    expect(stateOf(t)).toBe("FIN-WAIT-2");
    t.receive({ flags: "FA", seq: 1, ack: 2 });
    expect(t.takeAll()).toEqual(["A 2 ack 2"]);
    await closed;
    expect(t.tcp.statistics).toMatchObject({ connections: 0, timeWait: 1 });
    await t.advance(59_999);
    t.receive({ flags: "FA", seq: 1, ack: 2 });
    expect(t.takeAll()).toEqual(["A 2 ack 2"]);
    await t.advance(59_999);
    expect(t.tcp.statistics.timeWait).toBe(1);
    await t.advance(2);
    expect(t.tcp.statistics.timeWait).toBe(0);
    expect(t.scheduler.pending).toBe(0);
  });

  test("the peer closes first: CLOSE-WAIT, in which we still send, then LAST-ACK", async () => {
    const t = new Transcript();
    const flow = await t.established();
    const end = flow.read(new Uint8Array(10));
    t.receive({ flags: "FA", seq: 1, ack: 1 });
    expect(t.takeAll()).toEqual(["A 1 ack 2"]);
    expect(await end).toBe(0);
    expect(stateOf(t)).toBe("CLOSE-WAIT");
    void flow.write(new Uint8Array(10));
    void flow.end();
    expect(t.takeAll()).toEqual(["FPA 1:11 ack 2"]);
    expect(stateOf(t)).toBe("LAST-ACK");
    t.receive({ flags: "A", seq: 2, ack: 12 });
    expect(t.tcp.statistics).toMatchObject({ connections: 0, timeWait: 0 });
    expect(t.scheduler.pending).toBe(0);
    await flow.close();
  });

  test("figure 13: both close at once", async () => {
    const t = new Transcript();
    const flow = await t.established();
    const closed = flow.close();
    expect(t.takeAll()).toEqual(["FA 1 ack 1"]);
    t.receive({ flags: "FA", seq: 1, ack: 1 });
    expect(stateOf(t)).toBe("CLOSING");
    expect(t.takeAll()).toEqual(["A 2 ack 2"]);
    t.receive({ flags: "A", seq: 2, ack: 2 });
    await closed;
    expect(t.tcp.statistics.timeWait).toBe(1);
  });

  test("a FIN that acknowledges ours goes straight to TIME-WAIT", async () => {
    const t = new Transcript();
    const flow = await t.established();
    void flow.close();
    t.takeAll();
    t.receive({ flags: "FA", seq: 1, ack: 2 });
    expect(t.tcp.statistics.timeWait).toBe(1);
    expect(t.takeAll()).toEqual(["A 2 ack 2"]);
  });

  test("half-close: reading goes on after our end", async () => {
    const t = new Transcript();
    const flow = await t.established();
    await flow.end();
    t.takeAll();
    t.receive({ flags: "A", seq: 1, ack: 2 });
    t.receive({ flags: "PA", seq: 1, ack: 2, length: 100 });
    expect(await flow.read(new Uint8Array(200))).toBe(100);
    expect(stateOf(t)).toBe("FIN-WAIT-2");
    await expect(flow.write(new Uint8Array(1))).rejects.toMatchObject({ kind: "closed" });
  });

  test("a FIN that comes early waits for what is before it", async () => {
    const t = new Transcript();
    const flow = await t.established();
    t.receive({ flags: "FA", seq: 11, ack: 1 });
    expect(t.takeAll()).toEqual(["A 1 ack 1"]);
    expect(stateOf(t)).toBe("ESTABLISHED");
    t.receive({ flags: "A", seq: 1, ack: 1, length: 10 });
    expect(t.takeAll()).toEqual(["A 1 ack 12"]);
    expect(stateOf(t)).toBe("CLOSE-WAIT");
    expect(await flow.read(new Uint8Array(20))).toBe(10);
    expect(await flow.read(new Uint8Array(20))).toBe(0);
  });

  test("a lost FIN is sent again", async () => {
    const t = new Transcript();
    const flow = await t.established();
    await flow.end();
    expect(t.takeAll()).toEqual(["FA 1 ack 1"]);
    await t.advance(300);
    expect(t.takeAll()).toEqual(["FA 1 ack 1"]);
  });

  test("a closed flow is reset when the peer never ends", async () => {
    const t = new Transcript({ linger: 5000 });
    const flow = await t.established();
    let isClosed = false;
    void flow.close().then(() => (isClosed = true));
    t.takeAll();
    t.receive({ flags: "A", seq: 1, ack: 2 });
    await t.advance(4999);
    expect(isClosed).toBe(false);
    await t.advance(1);
    expect(isClosed).toBe(true);
    expect(t.takeAll()).toEqual(["RA 2 ack 1"]);
    expect(t.scheduler.pending).toBe(0);
  });

  test("an abort resets and frees everything", async () => {
    const t = new Transcript();
    const flow = await t.established();
    await flow.write(new Uint8Array(100));
    t.takeAll();
    t.receive({ flags: "PA", seq: 1, ack: 1, length: 10 });
    flow.abort();
    expect(t.takeAll()).toEqual(["RA 101 ack 11"]);
    expect(t.tcp.statistics).toMatchObject({ connections: 0, bufferBytes: 0 });
    expect(t.scheduler.pending).toBe(0);
    await expect(flow.read(new Uint8Array(1))).rejects.toMatchObject({ kind: "aborted" });
    await flow.close();
  });
});

describe("TIME-WAIT", () => {
  async function timeWait(options = {}): Promise<Transcript> {
    const t = new Transcript(options);
    const flow = await t.established();
    void flow.close();
    t.takeAll();
    t.receive({ flags: "FA", seq: 1, ack: 2 });
    t.takeAll();
    return t;
  }

  test("RFC 1337: a reset does not end it", async () => {
    const t = await timeWait();
    t.receive({ flags: "R", seq: 2 });
    expect(t.tcp.statistics.timeWait).toBe(1);
  });

  test("a SYN with a later number opens a new connection, an earlier one is acknowledged", async () => {
    const t = await timeWait();
    t.receive({ flags: "S", seq: 1 });
    expect(t.takeAll()).toEqual(["A 2 ack 2"]);
    const old = t.iss;
    t.receive({ flags: "S", seq: 1000 });
    expect(t.take()).toMatchObject({ flags: "SA", ack: 1001 });
    expect((t.iss - old) | 0).toBeGreaterThan(65_535);
    expect(t.tcp.statistics).toMatchObject({ timeWait: 0, halfOpen: 1 });
  });

  test("the table is bounded: the oldest gives way", async () => {
    const t = new Transcript({ maxTimeWait: 3 });
    await t.listen();
    for (let round = 0; round < 10; round++) {
      t.peerPort = 40_000 + round;
      t.receive({ flags: "S", seq: 0 });
      t.take();
      t.receive({ flags: "A", seq: 1, ack: 1 });
      void t.accepted.pop()!.close();
      t.takeAll();
      t.receive({ flags: "FA", seq: 1, ack: 2 });
      t.takeAll();
    }
    expect(t.tcp.statistics).toMatchObject({ timeWait: 3, timeWaitEvictions: 7, connections: 0 });
  });
});

describe("RFC 9293 §3.10.7.4: segments that do not fit", () => {
  test("an old duplicate and data beyond the window are answered with an ACK and dropped", async () => {
    const t = new Transcript();
    await t.established();
    t.receive({ flags: "A", seq: 1, ack: 1, length: 10 });
    await t.advance(50);
    t.takeAll();
    t.receive({ flags: "A", seq: 1, ack: 1, length: 10 });
    expect(t.takeAll()).toEqual(["A 1 ack 11"]);
    t.receive({ flags: "A", seq: 300_000, ack: 1, length: 10 });
    expect(t.takeAll()).toEqual(["A 1 ack 11"]);
  });

  test("a segment that overlaps what is here is cut", async () => {
    const t = new Transcript();
    const flow = await t.established();
    t.receive({ flags: "A", seq: 1, ack: 1, data: Uint8Array.of(1, 2, 3, 4) });
    t.receive({ flags: "A", seq: 3, ack: 1, data: Uint8Array.of(9, 9, 5, 6) });
    const into = new Uint8Array(10);
    expect(await flow.read(into)).toBe(6);
    expect([...into.subarray(0, 6)]).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test("a segment without ACK is dropped", async () => {
    const t = new Transcript();
    await t.established();
    t.receive({ flags: "P", seq: 1, length: 10 });
    expect(t.takeAll()).toEqual([]);
    expect(t.tcp.connections()[0]?.bytesReceived).toBe(0);
  });

  test("RFC 6093: urgent data is ordinary data", async () => {
    const t = new Transcript();
    const flow = await t.established();
    t.receive({ flags: "UPA", seq: 1, ack: 1, length: 7 });
    expect(await flow.read(new Uint8Array(10))).toBe(7);
  });

  test("a wrong checksum or data offset is counted and dropped", async () => {
    const t = new Transcript();
    await t.listen();
    const bytes = t.build({ flags: "S" });
    bytes[7] = 1;
    t.ip.deliver(bytes, 0, bytes.length);
    t.ip.deliver(bytes, 0, 10);
    expect(t.takeAll()).toEqual([]);
    expect(t.tcp.statistics).toMatchObject({ badChecksums: 1, malformed: 1, halfOpen: 0 });
  });
});

describe("RFC 5961: blind attacks", () => {
  test("§3.2: only a reset with exactly the expected number is believed", async () => {
    const t = new Transcript();
    const flow = await t.established();
    const reading = kindOf(flow.read(new Uint8Array(1)));
    t.receive({ flags: "R", seq: 100 });
    expect(t.takeAll()).toEqual(["A 1 ack 1"]);
    t.receive({ flags: "R", seq: 10_000_000 });
    expect(t.takeAll()).toEqual([]);
    expect(stateOf(t)).toBe("ESTABLISHED");
    t.receive({ flags: "R", seq: 1 });
    expect(await reading).toBe("reset");
    expect(t.tcp.statistics.connections).toBe(0);
    expect(t.scheduler.pending).toBe(0);
  });

  test("§4.2: a SYN gets a challenge ACK, wherever it lies", async () => {
    const t = new Transcript();
    await t.established();
    t.receive({ flags: "S", seq: 50 });
    t.receive({ flags: "S", seq: 500_000_000 });
    expect(t.takeAll()).toEqual(["A 1 ack 1", "A 1 ack 1"]);
    expect(stateOf(t)).toBe("ESTABLISHED");
  });

  test("§5.2: an ACK of what was never sent, or of the far past, is challenged and its data dropped", async () => {
    const t = new Transcript();
    await t.established();
    t.receive({ flags: "A", seq: 1, ack: 5, length: 3 });
    t.receive({ flags: "A", seq: 1, ack: -100_000, length: 3 });
    expect(t.takeAll()).toEqual(["A 1 ack 1", "A 1 ack 1"]);
    expect(t.tcp.connections()[0]?.bytesReceived).toBe(0);
  });

  test("§7: challenges are limited", async () => {
    const t = new Transcript();
    await t.established();
    for (let round = 0; round < 100; round++) t.receive({ flags: "S", seq: 50 });
    expect(t.takeAll()).toHaveLength(10);
    await t.advance(5000);
    t.receive({ flags: "S", seq: 50 });
    expect(t.takeAll()).toHaveLength(1);
  });
});

describe("RFC 5927 and RFC 1122 §4.2.3.9: ICMP errors", () => {
  test("port unreachable refuses a SYN, if it quotes the SYN's number", async () => {
    const t = new Transcript();
    const result = kindOf(t.connect());
    const syn = t.sent[0]!.bytes.slice(0, 8);
    const forged = syn.slice();
    forged[7] = forged[7]! ^ 1;
    t.ip.deliverError("unreachable-port", forged);
    expect(stateOf(t)).toBe("SYN-SENT");
    t.ip.deliverError("unreachable-port", syn);
    expect(await result).toBe("refused");
  });

  test("other errors about a SYN are soft: it is sent again, and they are told in the end", async () => {
    const t = new Transcript();
    const result = kindOf(t.connect({ timeout: 10_000 }));
    t.ip.deliverError("unreachable-host", t.sent[0]!.bytes.slice(0, 8));
    expect(stateOf(t)).toBe("SYN-SENT");
    await t.advance(10_000);
    expect(t.sent).toHaveLength(4);
    expect(await result).toBe("unreachable");
    const again = t.connect();
    t.ip.deliverError("unreachable-host", t.sent.at(-1)!.bytes.slice(0, 8));
    await t.advance(1000);
    t.sent.splice(0, 5);
    t.take();
    t.receive({ flags: "SA", seq: 0, ack: 1 });
    await again;
  });

  test("an error that the connection got over is not what it died of", async () => {
    const t = new Transcript({ userTimeout: 10_000 });
    const flow = await t.established();
    await flow.write(new Uint8Array(10));
    t.tcp.flush();
    t.ip.deliverError("unreachable-host", t.sent.at(-1)!.bytes.slice(0, 8));
    t.receive({ flags: "A", seq: 1, ack: 11 });
    await flow.write(new Uint8Array(10));
    await t.advance(60_000);
    await expect(flow.write(new Uint8Array(1))).rejects.toMatchObject({ kind: "timeout" });
  });

  test("an established connection survives, and says later what it died of", async () => {
    const t = new Transcript({ userTimeout: 10_000 });
    const flow = await t.established();
    await flow.write(new Uint8Array(10));
    t.tcp.flush();
    const segment = t.sent.at(-1)!.bytes.slice(0, 8);
    t.ip.deliverError("unreachable-host", segment);
    expect(stateOf(t)).toBe("ESTABLISHED");
    await t.advance(60_000);
    await expect(flow.write(new Uint8Array(1))).rejects.toMatchObject({ kind: "unreachable" });
  });

  test("packet too big: the segment is cut and sent again", async () => {
    const t = new Transcript();
    const flow = await t.established();
    await flow.write(new Uint8Array(2000));
    expect(t.take()).toMatchObject({ seq: 1, length: 1460 });
    const [segment] = t.sent;
    expect(t.take()).toMatchObject({ seq: 1461, length: 540 });
    t.ip.deliverError("packet-too-big", segment!.bytes.slice(0, 8), 1040);
    expect(t.takeAll()).toEqual(["A 1:1001 ack 1", "A 1001:1461 ack 1"]);
  });

  test("packet too big for a segment that is not in flight is ignored", async () => {
    const t = new Transcript();
    const flow = await t.established();
    await flow.write(new Uint8Array(2000));
    t.tcp.flush();
    const segment = t.sent[0]!.bytes.slice(0, 8);
    t.takeAll();
    t.receive({ flags: "A", seq: 1, ack: 2001 });
    t.ip.deliverError("packet-too-big", segment, 576);
    expect(t.tcp.connections()[0]?.mss).toBe(1460);
  });

  test("a narrower path that IP knows of is noticed when it refuses", async () => {
    const t = new Transcript();
    const flow = await t.established();
    t.ip.pathMtu = 1240;
    await flow.write(new Uint8Array(1460));
    expect(t.takeAll()).toEqual(["A 1:1201 ack 1", "PA 1201:1461 ack 1"]);
  });
});

describe("bounds", () => {
  test("beyond the backlog SYN cookies keep the port open", async () => {
    const t = new Transcript();
    await t.listen({ backlog: 2 });
    for (let round = 0; round < 5; round++) {
      t.peerPort = 40_000 + round;
      t.receive({ flags: "S", seq: 0, mss: 1300, windowShift: 4 });
    }
    expect(t.tcp.statistics).toMatchObject({ halfOpen: 2, cookiesSent: 3 });
    for (let round = 0; round < 4; round++) t.take();
    const cookie = t.take();
    expect(cookie).toMatchObject({ flags: "SA", ack: 1 });
    expect(cookie).not.toHaveProperty("windowShift");
    // A wrong one is reset, the right one opens.
    t.receive({ flags: "A", seq: 1, ack: 2 });
    expect(t.takeAll()).toEqual(["R 2"]);
    t.receive({ flags: "PA", seq: 1, ack: 1, length: 4 });
    expect(t.tcp.statistics).toMatchObject({ connections: 1, cookiesAccepted: 1 });
    expect(t.tcp.connections()[0]).toMatchObject({ mss: 1200, windowShift: [0, 0] });
    expect(await t.accepted[0]!.read(new Uint8Array(10))).toBe(4);
  });

  test("a cookie is good for two minutes", async () => {
    const t = new Transcript();
    await t.listen({ backlog: 1 });
    t.receive({ flags: "S", seq: 0 });
    t.peerPort++;
    t.receive({ flags: "S", seq: 0 });
    t.take();
    t.take();
    await t.advance(130_000);
    t.sent.length = 0;
    t.receive({ flags: "A", seq: 1, ack: 1 });
    expect(t.takeAll()).toEqual(["R 1"]);
  });

  test("more connections than allowed are not opened", async () => {
    const t = new Transcript({ maxConnections: 2 });
    await t.listen();
    for (let round = 0; round < 4; round++) {
      t.peerPort = 40_000 + round;
      t.receive({ flags: "S", seq: 0 });
      if (t.take() === undefined) continue;
      t.receive({ flags: "A", seq: 1, ack: 1 });
    }
    expect(t.tcp.statistics).toMatchObject({ connections: 2, connectionOverflows: 2 });
    await expect(t.tcp.connect({ address: t.ip.addresses[0]!, port: 1 })).rejects.toMatchObject({
      kind: "unreachable",
    });
    await expect(t.connect()).rejects.toMatchObject({ kind: "exhausted" });
  });

  test("a closed listener resets its handshakes", async () => {
    const t = new Transcript();
    const listener = await t.tcp.listen({ port: 80 }, () => undefined);
    t.receive({ flags: "S", seq: 0 });
    t.take();
    await listener.close();
    expect(t.takeAll()).toEqual(["RA 1 ack 1"]);
    expect(t.tcp.statistics.halfOpen).toBe(0);
    expect(t.scheduler.pending).toBe(0);
  });
});
