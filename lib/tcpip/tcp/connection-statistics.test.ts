import { describe, expect, test } from "vitest";
import { TcpFlow } from "./flow.ts";
import { formatConnection } from "./format-connection.ts";
import type { ConnectionStatistics } from "./statistics.ts";
import { Transcript } from "./transcript.ts";

function only(t: Transcript): ConnectionStatistics {
  const [connection] = t.tcp.connections();
  if (connection === undefined) throw new Error("there is no connection");
  return connection;
}

describe("the statistics of a connection", () => {
  test("count segments, with and without data, and what was sent again", async () => {
    const t = new Transcript();
    const flow = await t.established({ mss: 1000 });
    expect(only(t)).toMatchObject({ segmentsSent: 1, segmentsReceived: 2, dataSegmentsSent: 0 });
    await flow.write(new Uint8Array(2500));
    t.takeAll();
    expect(only(t)).toMatchObject({ inFlight: 2500, dataSegmentsSent: 3, segmentsSent: 4, retransmits: 0 });
    await t.advance(2000);
    t.receive({ flags: "A", seq: 1, ack: 2501, length: 10 });
    expect(only(t)).toMatchObject({ dataSegmentsReceived: 1, segmentsReceived: 3, bytesSent: 2500 });
    expect(only(t).retransmits).toBeGreaterThan(0);
    expect(only(t).bytesRetransmitted).toBeGreaterThanOrEqual(1000);
    await t.advance(700);
    expect(only(t).sinceReceived).toBe(700);
  });

  test("tell the rate at which data arrives", async () => {
    const t = new Transcript();
    const flow = await t.established({ mss: 1000 });
    await flow.write(new Uint8Array(100_000));
    expect(t.takeAll()).toHaveLength(10);
    await t.advance(100);
    for (let ack = 1001; ack <= 10_001; ack += 1000) t.receive({ flags: "A", seq: 1, ack });
    expect(t.takeAll().length).toBeGreaterThan(10);
    // The first segment of the next flight: ten thousand bytes arrived in the 50 ms until it did.
    await t.advance(50);
    t.receive({ flags: "A", seq: 1, ack: 20_001 });
    expect(only(t)).toMatchObject({ deliveryRate: 10_000 / 0.05, applicationLimited: false });
  });

  test("tell what the time is spent on: the path, the peer's window, the full buffer", async () => {
    const t = new Transcript({ sendBuffer: 4000, maxSendBuffer: 4000 });
    const flow = await t.established({ mss: 1000, win: 3000 });
    await t.advance(1000);
    expect(only(t).busyTime).toBe(0);
    await flow.write(new Uint8Array(4000));
    expect(t.takeAll()).toHaveLength(3);
    await t.advance(100);
    expect(only(t)).toMatchObject({ busyTime: 100, peerLimitedTime: 100, bufferLimitedTime: 0, notSent: 1000 });
    t.receive({ flags: "A", seq: 1, ack: 3001, win: 65_535 });
    expect(t.takeAll()).toHaveLength(1);
    await t.advance(50);
    expect(only(t)).toMatchObject({ busyTime: 150, peerLimitedTime: 100, bufferLimitedTime: 0 });
    const writing = flow.write(new Uint8Array(8000));
    expect(t.takeAll()).toHaveLength(3);
    await t.advance(30);
    expect(only(t)).toMatchObject({ busyTime: 180, peerLimitedTime: 100, bufferLimitedTime: 30 });
    flow.abort();
    await expect(writing).rejects.toThrow("aborted");
  });

  test("tell what SACK says", async () => {
    const t = new Transcript();
    const flow = await t.established({ mss: 1000, sackPermitted: true });
    await flow.write(new Uint8Array(8000));
    t.takeAll();
    await t.advance(50);
    t.receive({ flags: "A", seq: 1, ack: 1001, sack: [[3001, 8001]] });
    expect(only(t)).toMatchObject({ sack: true, sacked: 5000, lost: 2000 });
    expect(t.takeAll()).toEqual(["A 1001:2001 ack 1", "A 2001:3001 ack 1"]);
    expect(only(t)).toMatchObject({ repeating: 2000, retransmits: 2, duplicatesReported: 0 });
    expect(formatConnection(only(t))).toContain("retrans:2/2 lost:2 sacked:5");
    t.receive({ flags: "A", seq: 1, ack: 8001, sack: [[1001, 2001]] });
    expect(only(t)).toMatchObject({ duplicatesReported: 1, sacked: 0, lost: 0, inFlight: 0 });
  });

  test("are told by the flow, too, also when it is over", async () => {
    const t = new Transcript();
    const flow = await t.established();
    if (!(flow instanceof TcpFlow)) throw new Error("the flow is not ours");
    expect(flow.statistics()).toMatchObject({ state: "ESTABLISHED" });
    flow.abort();
    expect(flow.statistics()).toMatchObject({ state: "CLOSED", bytesSent: 0 });
  });
});

describe("formatConnection", () => {
  test("prints what ss -ti prints", async () => {
    const t = new Transcript({ timestamps: true });
    await t.listen();
    t.receive({ flags: "S", mss: 1000, windowShift: 3, timestamp: { value: 7, echo: 0 } });
    const echo = t.take()?.timestamp?.value ?? 0;
    t.receive({ flags: "A", seq: 1, ack: 1, timestamp: { value: 7, echo } });
    const lines = formatConnection(only(t)).split("\n\t ");
    expect(lines[0]).toBe("ESTAB 0 0 192.0.2.1:80 192.0.2.2:40000");
    expect(lines[1]).toBe(
      "ts cubic wscale:3,7 rto:200 mss:988 pmtu:1500 advmss:1460 cwnd:10 segs_out:1 segs_in:2 minrtt:0 snd_wnd:524280",
    );
  });

  test("with data in flight, a loss behind it, and ECN", async () => {
    const t = new Transcript();
    await t.listen();
    t.receive({ flags: "SEC", mss: 1000 });
    await t.advance(40);
    t.take();
    t.receive({ flags: "A", seq: 1, ack: 1 });
    const flow = t.accepted[0]!;
    await flow.write(new Uint8Array(30_000));
    await t.advance(40);
    t.receive({ flags: "AE", seq: 1, ack: 2001 });
    await t.advance(600);
    const line = formatConnection(only(t));
    expect(line).toContain("ESTAB 0 28000 ");
    for (const part of [
      "ecn ecnseen cubic",
      "backoff:1",
      "rtt:40/15",
      "cwnd:1 ssthresh:5",
      "bytes_acked:2000",
      "unacked:8",
      "notsent:20000",
    ]) {
      expect(line).toContain(part);
    }
  });
});
