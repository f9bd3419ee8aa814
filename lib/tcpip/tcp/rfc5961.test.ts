import { describe, expect, test } from "vitest";
import { Transcript } from "./transcript.ts";

/** Each synchronized state, how a connection comes into it, and where both sides' numbers are then. */
const inState = {
  ESTABLISHED: { steps: [], sent: 1, received: 1 },
  "FIN-WAIT-1": { steps: ["end"], sent: 2, received: 1 },
  "FIN-WAIT-2": { steps: ["end", "ack"], sent: 2, received: 1 },
  "CLOSE-WAIT": { steps: ["fin"], sent: 1, received: 2 },
  CLOSING: { steps: ["end", "fin"], sent: 2, received: 2 },
  "LAST-ACK": { steps: ["fin", "end"], sent: 2, received: 2 },
} as const;

type Name = keyof typeof inState;
const names = Object.keys(inState) as Name[];

async function bring(name: Name): Promise<Transcript> {
  const t = new Transcript();
  const flow = await t.established();
  for (const step of inState[name].steps) {
    if (step === "end") void flow.end();
    else if (step === "ack") t.receive({ flags: "A", seq: 1, ack: 2 });
    else t.receive({ flags: "FA", seq: 1, ack: 1 });
    t.takeAll();
  }
  expect(stateOf(t)).toBe(name);
  return t;
}

function stateOf(t: Transcript): string | undefined {
  return t.tcp.connections()[0]?.state;
}

describe.each(names)("RFC 5961 in %s", (name) => {
  const { sent, received } = inState[name];
  const challenge = `A ${String(sent)} ack ${String(received)}`;

  test("§3.2: a reset with another number in the window is challenged, beyond it dropped, with the next one believed", async () => {
    const t = await bring(name);
    for (const seq of [received + 1, received + 30_000]) {
      t.receive({ flags: "R", seq });
      expect(t.takeAll()).toEqual([challenge]);
    }
    for (const seq of [received - 1, received + 10_000_000]) {
      t.receive({ flags: "R", seq });
      expect(t.takeAll()).toEqual([]);
    }
    expect(stateOf(t)).toBe(name);
    t.receive({ flags: "R", seq: received });
    expect(t.tcp.statistics.connections).toBe(0);
    expect(t.scheduler.pending).toBe(0);
  });

  test("§4.2: a SYN is challenged, whatever its number", async () => {
    const t = await bring(name);
    for (const seq of [received - 1, received, received + 5, received + 1_000_000_000]) {
      t.receive({ flags: "S", seq });
      expect(t.takeAll()).toEqual([challenge]);
    }
    expect(stateOf(t)).toBe(name);
  });

  test("§5.2: an ACK of what was never sent, or older than the largest window, is challenged, and its data dropped", async () => {
    const t = await bring(name);
    const before = t.tcp.connections()[0]?.bytesReceived;
    for (const ack of [sent + 1, sent + 1_000_000_000, sent - 65_537, sent - 1_000_000_000]) {
      t.receive({ flags: "A", seq: received, ack, length: 10 });
      expect(t.takeAll()).toEqual([challenge]);
    }
    expect(stateOf(t)).toBe(name);
    expect(t.tcp.connections()[0]?.bytesReceived).toBe(before);
  });
});

test("RFC 5961 §3.2: a peer that has forgotten the connection ends it by its answer to the challenge", async () => {
  const t = new Transcript();
  const flow = await t.established();
  const reading = flow.read(new Uint8Array(1));
  // It has restarted, and its SYN comes from the same port.
  t.receive({ flags: "S", seq: 700_000 });
  expect(t.takeAll()).toEqual(["A 1 ack 1"]);
  t.receive({ flags: "R", seq: 1 });
  await expect(reading).rejects.toMatchObject({ kind: "reset" });
  t.receive({ flags: "S", seq: 700_000 });
  expect(t.take()).toMatchObject({ flags: "SA", ack: 700_001 });
});

test("RFC 5961 §5.2: what an ACK of the past, but within the largest window, brings is taken", async () => {
  const t = new Transcript();
  const flow = await t.established({ mss: 1000 });
  await flow.write(new Uint8Array(3000));
  t.takeAll();
  t.receive({ flags: "A", seq: 1, ack: 3001 });
  t.receive({ flags: "A", seq: 1, ack: 1001, length: 10 });
  expect(t.tcp.connections()[0]?.bytesReceived).toBe(10);
});

test("RFC 5961 §7: one connection's challenges do not use up another's, nor tell how many it got", async () => {
  const t = new Transcript();
  await t.established();
  for (let round = 0; round < 50; round++) t.receive({ flags: "R", seq: 2 });
  expect(t.takeAll()).toHaveLength(10);
  t.peerPort++;
  t.receive({ flags: "S", seq: 0 });
  t.take();
  t.receive({ flags: "A", seq: 1, ack: 1 });
  t.receive({ flags: "R", seq: 2 });
  expect(t.takeAll()).toEqual(["A 1 ack 1"]);
});

test("RFC 5961 in SYN-RECEIVED: only the exact reset ends the handshake, and another SYN is answered with the same", async () => {
  const t = new Transcript();
  await t.listen();
  t.receive({ flags: "S", seq: 0 });
  t.take();
  t.receive({ flags: "R", seq: 2 });
  t.receive({ flags: "R", seq: 0 });
  t.receive({ flags: "S", seq: 5000 });
  expect(t.takeAll()).toEqual(["SA 0 ack 1"]);
  expect(t.tcp.statistics.halfOpen).toBe(1);
  t.receive({ flags: "R", seq: 1 });
  expect(t.tcp.statistics.halfOpen).toBe(0);
});
