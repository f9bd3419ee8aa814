// A short run of what `npm run soak:dns` does a million times: our answers beside those of NSD, Knot and BIND.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { unavailable } from "../../namespace/namespace.ts";
import { openContest, type Contest } from "./contest.ts";
import { see } from "./answer.ts";
import { Draws, drawBroken, drawQuery } from "./queries.ts";
import { rules } from "./rules.ts";
import { describe as inWords, runDifferential } from "./run.ts";
import { shapeOf } from "./shape.ts";

const reason = unavailable("nsd", "knotd", "named", "dnssec-keygen", "dnssec-signzone");

describe.skipIf(reason !== undefined)(
  `the same queries to us, NSD, Knot and BIND${reason === undefined ? "" : `: ${reason}`}`,
  () => {
    const folder = mkdtempSync(path.join(tmpdir(), "dns-differential-"));
    let contest: Contest;
    beforeAll(async () => {
      contest = await openContest(folder);
    });
    afterAll(async () => {
      await contest.close();
      rmSync(folder, { recursive: true, force: true });
    });

    test("every difference is explained", async () => {
      const { subject, rivals } = contest;
      const report = await runDifferential(subject, rivals, { seed: 1, count: 4000 });
      expect(report.unexplained.map(({ first }) => inWords(first))).toEqual([]);
      // Everyone answered what can be answered.
      for (const [name, count] of report.answered) expect(count, name).toBeGreaterThan(2500);
      expect(report.codes.get("rcode 0")).toBeGreaterThan(500);
      expect(report.codes.get("rcode 3")).toBeGreaterThan(500);
    }, 120_000);

    test("a wrong answer is noticed", async () => {
      const { subject, rivals } = contest;
      const liar = {
        name: "ours",
        ask: async (queries: readonly Buffer[]) =>
          (await subject.ask(queries)).map((seen) => ({
            ...seen,
            answer: seen.answer.replace("c0000250", "c0000251"),
          })),
        close: () => undefined,
      };
      const report = await runDifferential(liar, rivals, { seed: 1, count: 1500, broken: 0 });
      expect(report.unexplained.map(({ first }) => first.aspect)).toContain("answer");
    }, 60_000);
  },
);

test("the differences in docs/dns.md are those that the rules name, no more and no less", () => {
  const document = readFileSync(path.resolve(import.meta.dirname, "../../../docs/dns.md"), "utf8");
  const [, table = ""] = /^## Differences from other servers$([^]*?)(?=^## |(?![^]))/m.exec(document) ?? [];
  const rows = [...table.matchAll(/^\| ([^|]+?) +\| ([^|]+?) +\| ([^|]+?) +\|$/gm)].slice(2);
  const listed = rows.map(([, name, who]) => [name, who?.split(", ").sort()]);
  const explained = rules.map(({ name, rivals }) => [name, [...rivals].sort()]);
  expect(listed.sort()).toEqual(explained.sort());
});

describe("what is generated", () => {
  test("is the same for the same seed, another for another", () => {
    const some = (seed: number): string => {
      const draws = new Draws(seed);
      return Array.from({ length: 50 }, () => drawQuery(draws).toString("hex")).join();
    };
    expect(some(5)).toBe(some(5));
    expect(some(5)).not.toBe(some(6));
  });

  test("is whole when it is to be, and broken otherwise in many ways", () => {
    const draws = new Draws(9);
    const whole = Array.from({ length: 500 }, () => shapeOf(drawQuery(draws)).broken);
    expect(new Set(whole)).toEqual(new Set(["whole"]));
    const broken = new Set(Array.from({ length: 2000 }, () => shapeOf(drawBroken(draws)).broken));
    expect(broken.size).toBeGreaterThan(8);
  });
});

describe("reading answers", () => {
  // www.example. A with an answer whose owner is a pointer, and an OPT record with a cookie.
  const answer = Buffer.from(
    "000184000001000100000001" +
      "03777777076578616d706c650000010001" +
      "c00c000100010000003c0004c0000201" +
      "00002904d000008000000c000a00081122334455667788",
    "hex",
  );

  test("names, sections and options", () => {
    expect(see(answer)).toMatchObject({
      ...{ answered: "yes", rcode: "0", aa: "1", tc: "0", edns: "version 0 do", cookie: "of 8 octets" },
      ...{ answer: "www.example. 60 1 1 c0000201", authority: "", additional: "" },
    });
  });

  test("says what is malformed", () => {
    expect(see(answer.subarray(0, 40)).answered).toMatch(/^malformed: /);
    expect(see(Buffer.concat([answer, Buffer.of(0)])).answered).toContain("octets behind the last record");
  });
});
