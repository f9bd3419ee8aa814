import { ESLint } from "eslint";
import path from "node:path";
import { describe, expect, test } from "vitest";

// The rules of tool/lint, each shown to refuse what it is there to refuse.
const eslint = new ESLint({
  cwd: path.resolve(import.meta.dirname, "../.."),
  overrideConfig: { languageOptions: { parserOptions: { project: null } } },
  ruleFilter: ({ ruleId }) => ruleId.startsWith("architecture/") || ruleId === "no-undef",
});

async function complaints(file: string, code: string): Promise<string[]> {
  const [result] = await eslint.lintText(code, { filePath: file });
  return (result?.messages ?? []).map((message) => message.message);
}

describe("lib/", () => {
  test.each([
    [`import { readFileSync } from "node:fs";\nexport const f = readFileSync;\n`, `"node:fs" belongs in targets/`],
    [`import { Hono } from "hono";\nexport const f = Hono;\n`, `"hono" is a foreign package`],
    [
      `import { createTap } from "@tesserae/tap/netif";\nexport const f = createTap;\n`,
      `lib/ must not import targets/`,
    ],
    [`import { x } from "../wire/layout.ts";\nexport const f = x;\n`, `leaves its package`],
    [`import { x } from "../../test/programs.ts";\nexport const f = x;\n`, `leaves its package`],
    [`export * from "./address.ts";\n`, `no barrels`],
    [`export default 1;\n`, `no default exports`],
    [`export const now = Date.now();\n`, `no Date.now in lib/`],
    [`export const now = new Date();\n`, `no new Date() in lib/`],
    [`export const now = Math.random();\n`, `no Math.random in lib/`],
    [`export const stop = AbortSignal.timeout(1);\n`, `no AbortSignal.timeout in lib/`],
    [`export const g = globalThis;\n`, `no globalThis in lib/`],
    [`setTimeout(() => undefined, 1);\nexport {};\n`, `'setTimeout' is not defined`],
    [`export const f = process.argv;\n`, `'process' is not defined`],
    [`export const f = 1 as unknown;\n`, `say beside`],
  ])("refuses %j", async (code, words) => {
    expect((await complaints("lib/device/rule-under-test.ts", code)).join("\n")).toContain(words);
  });

  test("accepts what keeps the rules", async () => {
    const code = [
      `import type { Clock } from "./clock.ts";`,
      `export const at = (clock: Clock): Date => new Date(clock.wall());`,
      `// as: shown to be accepted`,
      `export const f = 1 as unknown;`,
      "",
    ].join("\n");
    expect(await complaints("lib/device/rule-under-test.ts", code)).toEqual([]);
  });

  test("refuses a name that says nothing", async () => {
    const words = await complaints("lib/device/string-utils.ts", "export const f = 1;\n");
    expect(words.join("\n")).toContain("name the file after its concept");
  });
});
