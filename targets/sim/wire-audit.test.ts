import { describe, expect, test } from "vitest";
import { Events } from "./event.ts";
import { WireAudit } from "./wire-audit.ts";

interface Sent {
  readonly from?: "a" | "b";
  readonly flags?: string;
  readonly seq?: number;
  readonly ack?: number;
  readonly window?: number;
  readonly shift?: number;
  readonly data?: readonly number[];
}

/** Two hosts whose segments are what the test says. */
function wire(): { readonly audit: WireAudit; readonly send: (...segments: Sent[]) => string | undefined } {
  const audit = new WireAudit(() => true);
  const events = new Events(() => 0);
  events.add(audit);
  const send = (...segments: Sent[]): string | undefined => {
    for (const { from = "a", flags = ".", seq = 0, ack, window = 1000, shift, data = [] } of segments) {
      const options = shift === undefined ? [] : [3, 3, shift, 1];
      const frame = new Uint8Array(14 + 20 + 20 + options.length + data.length);
      const view = new DataView(frame.buffer);
      view.setUint16(12, 0x0800);
      frame[14] = 0x45;
      view.setUint16(16, frame.length - 14);
      frame[23] = 6;
      const [near, far] = from === "a" ? ([1, 2] as const) : ([2, 1] as const);
      frame.set([10, 0, 0, near, 10, 0, 0, far], 26);
      view.setUint16(34, near);
      view.setUint16(36, far);
      view.setUint32(38, seq);
      view.setUint32(42, ack ?? 0);
      frame[46] = (5 + options.length / 4) << 4;
      const bits: Readonly<Record<string, number>> = { F: 1, S: 2, R: 4 };
      frame[47] = flags.split("").reduce((sum, flag) => sum | (bits[flag] ?? 0), ack === undefined ? 0 : 16);
      view.setUint16(48, window);
      frame.set([...options, ...data], 54);
      events.frame("sent", from, from === "a" ? 0 : 1, events.nextFrame(), undefined, frame, 0, frame.length);
    }
    return audit.problem?.replace(/^.*\): /, "");
  };
  return { audit, send };
}

const handshake: readonly Sent[] = [
  { from: "a", flags: "S", seq: 99, shift: 2 },
  { from: "b", flags: "S", seq: 499, ack: 100, shift: 3, window: 1000 },
  { from: "a", seq: 100, ack: 500 },
];

describe("on the wire", () => {
  test("a connection that keeps the rules is followed in silence: repeats, probes, and its numbers used again", () => {
    const { audit, send } = wire();
    send(...handshake, { seq: 100, ack: 500, data: [1, 2, 3, 4] }, { from: "b", seq: 500, ack: 104, window: 124 });
    // 1000 before its window is scaled.
    send({ seq: 104, ack: 500, data: new Array<number>(996).fill(7) }, { seq: 1100, ack: 500, data: [1] });
    send({ seq: 102, ack: 500, data: [3, 4, 7] }, { flags: "F", seq: 1101, ack: 500 });
    expect(send({ from: "b", seq: 500, ack: 1102, window: 0 }, ...handshake)).toBe(undefined);
    expect(audit.segments).toBe(13);
  });

  test.each<[string, readonly Sent[]]>([
    ["acknowledges 1 bytes that were never sent", [{ from: "b", seq: 500, ack: 101 }]],
    ["its acknowledgement moves back by 1", [{ seq: 100, ack: 499 }]],
    ["2 bytes beyond the edge of its peer's window", [{ seq: 100, ack: 500, data: new Array<number>(1002).fill(1) }]],
    [
      "other bytes than when they were sent first",
      [
        { seq: 100, ack: 500, data: [1, 2, 3] },
        { seq: 101, ack: 500, data: [2, 4] },
      ],
    ],
    [
      "data behind its own FIN",
      [
        { flags: "F", seq: 100, ack: 500, data: [1] },
        { seq: 101, ack: 500, data: [1] },
      ],
    ],
    [
      "a FIN with another number than before",
      [
        { flags: "F", seq: 100, ack: 500, data: [1] },
        { flags: "F", seq: 100, ack: 500 },
      ],
    ],
    [
      "the right edge of its window moves back by 4",
      [
        { seq: 100, ack: 500, window: 1000 },
        { seq: 100, ack: 500, window: 999 },
      ],
    ],
  ])("%s: found", (problem, segments) => {
    expect(wire().send(...handshake, ...segments)).toBe(problem);
  });

  test("what a scaled window cannot tell is no step back", () => {
    const { send } = wire();
    send(...handshake, { from: "b", seq: 500, ack: 100, window: 500 }, { seq: 100, ack: 500, data: [1, 2, 3] });
    expect(send({ from: "b", seq: 500, ack: 103, window: 499 })).toBe(undefined);
    expect(send({ from: "b", seq: 500, ack: 103, window: 498 })).toBe("the right edge of its window moves back by 13");
  });

  test("who answers a SYN again with another number, after a crash or with cookies, may be believed either way", () => {
    const { send } = wire();
    const again: Sent = { from: "b", flags: "S", seq: 9000, ack: 100, shift: 3 };
    // b is new, has never seen the connection that a speaks of, and gets the SYN again.
    expect(send(...handshake, { from: "b", flags: "R", seq: 500 }, again)).toBe(undefined);
    expect(send({ flags: "F", seq: 100, ack: 500, data: [1] }, { from: "b", seq: 9001, ack: 100 })).toBe(undefined);
    // Nor is a follower of the old number found out when a SYN comes once more.
    expect(send({ flags: "S", seq: 99, shift: 2 }, again, { seq: 100, ack: 500 })).toBe(undefined);
    // The next connection is followed as ever.
    expect(send({ flags: "S", seq: 7000 }, { from: "b", flags: "S", seq: 800, ack: 7001 })).toBe(undefined);
    expect(send({ seq: 7001, ack: 802 })).toBe("acknowledges 1 bytes that were never sent");
  });

  test("what others have sent is not looked at", () => {
    const audit = new WireAudit(() => false);
    const events = new Events(() => 0);
    events.add(audit);
    events.frame("sent", "r", 0, 1, undefined, new Uint8Array(60), 0, 60);
    expect(audit.segments).toBe(0);
  });
});
