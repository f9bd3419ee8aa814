import { IpAddress } from "@tesserae/device/address";
import { describe, expect, test } from "vitest";
import { foldKeys } from "./fold-keys.ts";

const constants = { debug: false, name: 'a "b"', limit: -3, home: IpAddress.loopback4 };

function folded(source: string): string {
  return foldKeys(source, "/app/main.ts", constants);
}

describe("foldKeys", () => {
  test("replaces keys of a destructured parameter and of a whole one", () => {
    expect(
      folded("export async function main({ keys, log }: D) { if (keys.debug) log(keys.name, keys.limit, keys.port); }"),
    ).toBe('export async function main({ keys, log }: D) { if ((false)) log(("a \\"b\\""), (-3), keys.port); }');
    expect(folded("export const main = async (all: D) => { use(all.keys.debug); };")).toBe(
      "export const main = async (all: D) => { use((false)); };",
    );
    expect(folded("export function main({ keys: k }) { return k.debug; }")).toContain("return (false);");
  });

  test("leaves what is shadowed, what is not main's, and values that are no literals", () => {
    for (const source of [
      "export function main({ keys }) { return (keys: any) => keys.debug; }",
      "export function other({ keys }) { return keys.debug; }",
      "const keys = { debug: 1 }; export function main({ log }) { return keys.debug; }",
      "export function main({ keys }) { return keys.home; }",
      "export function main({ keys }) { const { debug } = keys; return debug; }",
      "export const start = 1;",
    ]) {
      expect(folded(source)).toBe(source);
    }
  });

  test("lines keep their numbers", () => {
    const source = "export function main({ keys }) {\n  return keys\n    .debug;\n}\n";
    expect(folded(source).split("\n")).toHaveLength(source.split("\n").length);
  });
});
