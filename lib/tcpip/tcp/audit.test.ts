import { describe, expect, test } from "vitest";
import { auditConnection } from "./audit.ts";
import type { Connection } from "./connection.ts";
import * as states from "./state.ts";
import { Transcript } from "./transcript.ts";

interface Parts {
  readonly state?: number;
  readonly armed?: boolean;
  readonly sender?: object;
  readonly receiver?: object;
}

/** A connection with 500 bytes in flight and 100 that wait, with some parts otherwise. */
function connection({ sender, receiver, ...rest }: Parts = {}): Connection {
  const healthy = {
    una: 1000,
    max: 1500,
    end: 1600,
    highest: 1500,
    flight: 500,
    buffer: { length: 600 },
    congestion: { window: 4000, threshold: Infinity },
    finQueued: false,
    finSequence: 0,
    isFinAcknowledged: false,
    armed: true,
    ...sender,
  };
  const made = {
    state: states.established,
    armed: true,
    sender: healthy,
    receiver: { window: 65_535, ...receiver },
    ...rest,
  };
  // as: what the audit reads of a connection, and nothing else
  return made as unknown as Connection;
}

describe("auditConnection", () => {
  test("finds nothing wrong with a connection in order", () => {
    expect(auditConnection(connection())).toBe(undefined);
    expect(auditConnection(connection({ sender: { finQueued: true, finSequence: 1600, end: 1601 } }))).toBe(undefined);
    expect(auditConnection(connection({ state: states.closed, armed: false }))).toBe(undefined);
  });

  test.each<[string, Parts]>([
    ["SND.MAX is 1 before SND.UNA", { sender: { max: 999 } }],
    ["SND.MAX is 2 behind the highest number sent", { sender: { highest: 1498 } }],
    ["100 numbers were sent for which there is nothing", { sender: { end: 1400 } }],
    ["the FIN is 5 from the end of the data", { sender: { finQueued: true, finSequence: 1605 } }],
    ["a congestion window of -1", { sender: { congestion: { window: -1, threshold: 1 } } }],
    ["a slow start threshold of NaN", { sender: { congestion: { window: 1, threshold: NaN } } }],
    ["a receive window of -1", { receiver: { window: -1 } }],
    ["500 bytes in flight without a timer", { sender: { armed: false } }],
    ["100 bytes wait to be sent without a timer", { sender: { armed: false, flight: 0 } }],
    ["a handshake without a timer", { state: states.synSent, armed: false }],
    ["a timer of a closed connection is armed", { state: states.closed }],
  ])("%s", (problem, parts) => {
    expect(auditConnection(connection(parts))).toBe(problem);
  });
});

describe("TcpHost.audit", () => {
  test("finds nothing in a connection's life", async () => {
    const t = new Transcript();
    const look = (): void => expect(t.tcp.audit(16)).toBe(undefined);
    const flow = await t.established({ mss: 1000 });
    look();
    await flow.write(new Uint8Array(5500));
    t.tcp.flush();
    look();
    await t.advance(200);
    look();
    flow.abort();
    look();
    look();
  });
});
