import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";

const folder = import.meta.dirname;

function read(name: string): string {
  return readFileSync(path.join(folder, name), "utf8");
}

/** A call of calls.h: who answers it, or with what. */
interface Call {
  readonly number: number;
  readonly name: string;
  readonly by: string;
}

function parseCalls(): readonly Call[] {
  const text = /#define SYSTEM_CALLS\(CALL, ANSWER\)([^]*?)\n\n/.exec(read("calls.h"))?.[1] ?? "";
  const calls: Call[] = [];
  let heading = "";
  for (const [entry, comment, handled, handler, answered, name, result] of text.matchAll(
    /\/\* (.*?) \*\/|CALL\((\d+), (\w+)\)|ANSWER\((\d+), (\w+), (-?\w+)\)/g,
  )) {
    if (comment !== undefined) heading = comment;
    else if (handler !== undefined)
      calls.push({ number: Number(handled), name: handler, by: heading.replace(/:.*/, "") });
    else if (name !== undefined && result !== undefined)
      calls.push({ number: Number(answered), name, by: `always ${result}` });
    else throw new Error(`calls.h: ${entry} is no call`);
  }
  return calls;
}

/** Rows of the table in the README: who answers, by name of the call. */
function documentedCalls(): ReadonlyMap<string, string> {
  const section = /## System calls\n([^]*?)\n## /.exec(read("README.md"))?.[1] ?? "";
  const documented = new Map<string, string>();
  for (const [, by = "", names = ""] of section.matchAll(/^\| ([^|]+?) +\| ([^|]+?) +\|$/gm)) {
    for (const [, name = ""] of names.matchAll(/`(\w+)`/g)) {
      expect(documented.get(name), `${name} is in the table twice`).toBeUndefined();
      documented.set(name, by.replaceAll("`", ""));
    }
  }
  return documented;
}

function sourceFiles(): readonly string[] {
  return readdirSync(folder).filter((name) => /\.(c|h|S)$/.test(name));
}

describe("calls.h", () => {
  const calls = parseCalls();

  test("has each number and each name once", () => {
    expect(calls.length).toBeGreaterThan(100);
    expect(new Set(calls.map((call) => call.number)).size).toBe(calls.length);
    expect(new Set(calls.map((call) => call.name)).size).toBe(calls.length);
  });

  test("groups the calls by the file that answers them", () => {
    for (const call of calls.filter(({ by }) => !by.startsWith("always "))) {
      const files = call.by.split(", ").filter((file) => read(file).includes(`i64 sys_${call.name}(const u64 *`));
      expect(files, `sys_${call.name}, expected in ${call.by}`).toHaveLength(1);
    }
  });

  test("is what the README's table says", () => {
    expect(Object.fromEntries(documentedCalls())).toEqual(Object.fromEntries(calls.map(({ name, by }) => [name, by])));
  });
});

/** Lines of C and assembly, headers included, that are neither empty nor a comment: of Xen's files, and of the others. */
const mostLines = { xen: 540, rest: 3_999 };

test("the kernel stays small", () => {
  const count = (names: readonly string[]): number =>
    names.flatMap((name) =>
      read(name)
        .split("\n")
        .filter((line) => !/^\s*(\/\*|\*|\/\/|$)/.test(line)),
    ).length;
  const isXen = (name: string): boolean => name.startsWith("xen");
  expect(count(sourceFiles().filter(isXen))).toBeLessThanOrEqual(mostLines.xen);
  expect(count(sourceFiles().filter((name) => !isXen(name)))).toBeLessThanOrEqual(mostLines.rest);
});

describe("the README", () => {
  test("puts every source file into its reading order, and no other", () => {
    const section = /## Files, in reading order\n([^]*?)\n## /.exec(read("README.md"))?.[1] ?? "";
    const named = [...section.matchAll(/`([\w-]+\.(?:c|h|S|ld))`/g)].map(([, name]) => name);
    expect([...named].sort()).toEqual([...sourceFiles(), "link.ld"].sort());
  });
});
