// That a script which says something wrong fails, and why.
import { describe, expect, test } from "vitest";
import { ownStack } from "./own-stack.ts";
import { parseScript } from "./parse.ts";
import { run } from "./run.ts";
import type { Subject, SubjectMaker } from "./subject.ts";

const opening = "listen\n< S 0:0(0) win 65535 <mss 1460>\n> S. 0:0(0) ack 1 <mss 1460>\n< . 1 ack 1\naccept\n";

/** Our stack again, in the place of Linux, with its packets changed. */
function disguised(change: (packet: Uint8Array) => void): SubjectMaker {
  return {
    name: "linux",
    async start(settings) {
      const subject = await ownStack.start(settings);
      return new Proxy(subject, {
        get(target, property) {
          if (property === "name") return "linux";
          if (property === "take") {
            return () => {
              const emitted = target.take();
              if (emitted !== undefined) change(emitted.packet);
              return emitted;
            };
          }
          const value: unknown = Reflect.get(target, property, target);
          return typeof value === "function" ? (value as (this: Subject) => unknown).bind(target) : value;
        },
      });
    },
    close: () => Promise.resolve(),
  };
}

async function problems(text: string, makers: readonly SubjectMaker[] = [ownStack]): Promise<readonly string[]> {
  const [outcome] = await run([parseScript("a", opening + text)], makers, 1);
  return outcome?.problems ?? [];
}

describe("a script that our stack", () => {
  test("follows has no problems", async () => {
    expect(await problems("write 10\n> P. 1:11(10) ack 1\n+.01 < . 1 ack 11")).toEqual([]);
  });

  test.each([
    ["write 10\n> P. 1:12(11) ack 1", "7: sequence 1:11 instead of 1:12"],
    ["write 10\n> P. 1:11(10) ack 2", "7: ack 1 instead of 2"],
    ["write 10\n> FP. 1:11(10) ack 1", "7: flags P. instead of FP."],
    ["write 10\n> P. 1:11(10) ack 1 <mss 5>", '7: no option "mss 5"'],
    ["write 10\n> P. 1:11(10) ack 1 win 7", "7: window 65535 instead of 7"],
    ["write 10\n+.1 > P. 1:11(10) ack 1", "7: 0.000 s after what went before, not 0.100"],
    ["write 10\n+.1 quiet", "7: before it, unexpected: +0.000 > P. 1:11(10) ack 1"],
    ["write 10", "6: before it, unexpected: +0.000 > P. 1:11(10) ack 1"],
    ["> . 1 ack 1", "6: it did not come: > . 1 ack 1"],
    ["read 10", '6: it came to "nothing", not "10"'],
    ["state CLOSED", '6: it came to "ESTABLISHED", not "CLOSED"'],
  ])("does not follow fails: %j", async (text, problem) => {
    const [first] = await problems(text);
    expect(first).toContain(`ours: a.packet:${problem}`);
  });
});

describe("two subjects", () => {
  const script = "write 10\n> P. 1:11(10) ack 1\n< . 1 ack 11";

  test("that do the same have no problems", async () => {
    expect(await problems(script, [ownStack, disguised(() => undefined)])).toEqual([]);
  });

  test("that differ where the script does not look are told", async () => {
    const makers = [
      ownStack,
      disguised((packet) => {
        // The TOS byte, and the checksum with it.
        packet[1] = 2;
        packet[11] = packet[11]! - 2;
      }),
    ];
    const [first] = await problems(script, makers);
    expect(first).toContain('a.packet:3: the subjects differ and the script does not say so: ECN bits: "2" of Linux');
  });

  test("may differ where the script says so", async () => {
    const text = "write 10\nlinux(a) > P. 1:11(10) ack 1\nours(a) > P. 1:11(10) ack 1\n< . 1 ack 11";
    expect(await problems(text, [ownStack, disguised(() => undefined)])).toEqual([]);
  });
});
