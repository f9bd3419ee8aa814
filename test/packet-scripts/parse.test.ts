import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { printObserved } from "./observed.ts";
import { parseScript } from "./parse.ts";
import { ScriptError, type SegmentSpec } from "./script.ts";

function segmentsOf(text: string): SegmentSpec[] {
  return parseScript("a", text).lines.flatMap(({ action }) =>
    action.what === "expect"
      ? [action.segment]
      : action.what === "inject" && action.packet.what === "segment"
        ? [action.packet]
        : [],
  );
}

describe("a script", () => {
  test("has the comment at its top as title, and settings before everything else", () => {
    const script = parseScript(
      "a/b",
      "# RFC 9293:\n# opening.\n\nset mtu 900\nset sysctl tcp_rmem 1 2 3\nset limit timestamps false\n# no title\nlisten",
    );
    expect(script.title).toBe("RFC 9293: opening.");
    expect(script.settings.mtu).toBe(900);
    expect([...script.settings.sysctls]).toEqual([["tcp_rmem", "1 2 3"]]);
    expect([...script.settings.limits]).toEqual([["timestamps", false]]);
    expect(script.lines.map(({ line, text }) => [line, text])).toEqual([[8, "listen"]]);
  });

  test("says when, who and why", () => {
    const [first, second] = parseScript("a", "linux(why-not) +.2~1.5 > . 1:1(0) ack 1 # yes\n+3 read 10").lines;
    expect(first).toMatchObject({ only: { subject: "linux", difference: "why-not" }, after: 200, until: 1500 });
    expect(second).toMatchObject({ after: 3000, until: 3000, action: { name: "read", value: 10, outcome: "10" } });
  });

  test("has segments with all their fields", () => {
    const [segment] = segmentsOf("< :3 SF.EW -5:95(100) ack 7 win 9 urg 11 <mss 5, wscale 2, sackOK, nop> ecn ce");
    expect(segment).toMatchObject({ peer: 3, flags: 0xd3, seq: -5, end: 95, ack: 7, urgent: 11, ecn: 3 });
    expect(segment?.window).toEqual({ value: 9, orMore: false });
    expect(segment?.options).toEqual([
      { kind: "mss", value: 5 },
      { kind: "wscale", shift: 2 },
      { kind: "sackOK" },
      { kind: "nop" },
    ]);
    const [stamped] = segmentsOf("> . 1 ack 1 win 1+ <TS val * ecr 9, sack 1:2 3:4>");
    expect(stamped?.window).toEqual({ value: 1, orMore: true });
    expect(stamped?.options).toEqual([
      { kind: "TS", value: "any", echo: 9 },
      {
        kind: "sack",
        blocks: [
          [1, 2],
          [3, 4],
        ],
      },
    ]);
  });

  test("cuts what is longer than each, with PSH on the last", () => {
    const all = segmentsOf("> P. 1:2501(2500) ack 1 each 1000");
    expect(all.map(({ seq, end, flags }) => [seq, end, flags])).toEqual([
      [1, 1001, 0x10],
      [1001, 2001, 0x10],
      [2001, 2501, 0x18],
    ]);
  });

  test.each([
    ["listen\nset mtu 900", 2, '"set" comes before everything that happens'],
    ["set mtu 90", 1, 'the MTU "90" is not 256 to 9000'],
    ["\n\nlisne", 3, 'the call "lisne" is none of listen, accept'],
    ["> X 1:1(0)", 1, '"X" are no flags'],
    ["> . 1:11(9)", 1, "from 1 to 11 it is 10 bytes, not 9"],
    ["> . 11:1(10)", 1, "1 is before 11"],
    ["> . one", 1, '"one" are no sequence numbers'],
    ["< . 1 ack 1 win 1+", 1, 'a window "1+" can only be expected'],
    ["+1~2 < . 1", 1, 'only an expected segment has a time "from~to"'],
    ["+1~2 read 1", 1, 'only an expected segment has a time "from~to"'],
    ["+2~1 > . 1", 1, '"+2~1" is no time'],
    ["+x > . 1", 1, '"+x" is no time'],
    ["< . 1 <mss 5", 1, '"," is missing at the end of the line'],
    ["< . 1 <mss 5 sackOK>", 1, '"," should be where "sackOK" is'],
    ["< . 1 <magic>", 1, 'the option "magic" is none of mss'],
    ["< . 1 <raw 0>", 1, '"0" are no bytes'],
    ["< icmp echo quoting 1", 1, 'the error "echo" is none of host'],
    ["listen 5", 1, '"5" is too much'],
    ["read fails badly", 1, 'the error "badly" is none of refused'],
    ["> . 1:900001(900000) each 10", 1, "more than 1000 segments"],
    ["+9999 quiet", 1, '"+9999" is no time'],
  ])("with %j is refused in words", (text, line, problem) => {
    expect(() => parseScript("bad", text)).toThrow(ScriptError);
    expect(() => parseScript("bad", text)).toThrow(`bad.packet:${line}: ${problem}`);
  });

  test("property: is read, or refused with its line, whatever it says", () => {
    const word = fc.oneof(
      fc.constantFrom("<", ">", "+.1", "+1~2", "S", ".", "1:1(0)", "1:101(100)", "ack", "1", "win", ":2", "icmp"),
      fc.constantFrom("<mss", "TS", "val", "ecr", "sack", "1:2", ",", "*", "last", "linux(a)", "set", "mtu", "each"),
      fc.constantFrom("quoting", "read", "write", "state", "CLOSED", "fails", "reset", "#", "\n"),
      fc.string({ maxLength: 5 }),
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 20 }), (words) => {
        const text = words.join(" ");
        try {
          parseScript("any", text);
        } catch (error) {
          if (!(error instanceof ScriptError)) throw error;
          expect(error.line).toBeLessThanOrEqual(text.split("\n").length);
        }
      }),
      { numRuns: 2000 },
    );
  });

  test("property: a segment as it is printed is read as the same segment", () => {
    const segment = fc.record({
      peer: fc.integer({ min: 1, max: 9 }),
      flags: fc.integer({ min: 0, max: 255 }),
      seq: fc.integer({ min: -70_000, max: 70_000 }),
      length: fc.integer({ min: 0, max: 1460 }),
      ack: fc.integer({ min: -70_000, max: 70_000 }),
      window: fc.integer({ min: 0, max: 65_535 }),
      ecn: fc.integer({ min: 0, max: 3 }),
      stamp: fc.integer({ min: 0, max: 0xffff_ffff }),
    });
    fc.assert(
      fc.property(segment, ({ peer, flags, seq, length, ack, window, ecn, stamp }) => {
        const printed = printObserved({
          after: 0,
          peer,
          flags,
          seq,
          end: seq + length,
          ack,
          window,
          urgent: 0,
          options: [
            { kind: "mss", value: 1460 },
            { kind: "TS", value: stamp, echo: 7 },
          ],
          ecn,
          dontFragment: true,
          isIntact: true,
        });
        const [read] = segmentsOf(`> ${printed}`);
        expect(read).toMatchObject({ peer, flags, seq, end: seq + length, ack });
        expect(read?.window).toEqual({ value: window, orMore: false });
        expect(read?.options).toEqual([
          { kind: "mss", value: 1460 },
          { kind: "TS", value: stamp, echo: 7 },
        ]);
        expect(read?.ecn ?? 0).toBe(ecn);
      }),
    );
  });
});
