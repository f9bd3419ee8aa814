// docs/rfc.md: what it calls implemented is somewhere, and shown by a test that is there.
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";

const root = path.resolve(import.meta.dirname, "../..");

interface Row {
  readonly rfc: string;
  readonly status: string;
  readonly where: readonly string[];
  readonly shownBy: readonly string[];
}

function quoted(cell: string): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, text]) => text ?? "");
}

const rows = readFileSync(path.join(root, "docs/rfc.md"), "utf8")
  .split("\n")
  .filter((line) => line.startsWith("|"))
  .map((line) => line.split(/(?<!\\)\|/).map((cell) => cell.trim()))
  .filter((cells) => !["RFC", ""].includes(cells[1] ?? "") && !/^-+$/.test(cells[1] ?? ""))
  .map((cells): Row => ({
    rfc: cells[1] ?? "",
    status: cells[3] ?? "",
    where: quoted(cells[5] ?? ""),
    shownBy: quoted(cells[6] ?? ""),
  }));

describe("docs/rfc.md", () => {
  test("has rows, each with one of three statuses", () => {
    expect(rows.length).toBeGreaterThan(80);
    expect(new Set(rows.map(({ status }) => status))).toEqual(new Set(["implemented", "partial", "not"]));
  });

  test("names files that are there", () => {
    const missing = rows.flatMap(({ rfc, where }) =>
      where.filter((file) => !existsSync(path.join(root, "lib", file))).map((file) => `${rfc}: ${file}`),
    );
    expect(missing).toEqual([]);
  });

  test("names a test for all that is implemented, in whole or part", () => {
    const unshown = rows
      .filter(({ status, shownBy }) => status !== "not" && shownBy.length === 0)
      .map(({ rfc, status }) => `${rfc} (${status})`);
    expect(unshown).toEqual([]);
    const missing = rows.flatMap(({ rfc, shownBy }) =>
      shownBy.filter((file) => !existsSync(path.join(root, file))).map((file) => `${rfc}: ${file}`),
    );
    expect(missing).toEqual([]);
  });
});
