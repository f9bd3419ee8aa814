import { build } from "esbuild";
import { expect, test } from "vitest";
import { restoreConstants } from "./top-level-constants.ts";

/** As the bundler prints `code`, with a comment that names the module. */
async function bundle(code: string): Promise<string> {
  const stdin = { contents: code, sourcefile: "main.ts", loader: "ts" as const };
  const result = await build({ stdin, bundle: true, write: false, format: "esm" });
  return result.outputFiles[0]!.text;
}

test("declarations that nothing assigns become const; the rest of the text stays", async () => {
  const code = await bundle(
    "const a = [1]; class B { x = a; } let c; c = a; let d = 1; d++; let e = 1; [e] = a; export { B, c, d, e };",
  );
  expect(code).toContain("var a = ");
  const restored = restoreConstants(code);
  expect(restored).toContain("const a = ");
  expect(restored).toContain("const B = class");
  for (const kept of ["var c;", "var d = 1;", "var e = 1;"]) expect(restored).toContain(kept);
  expect(restored.replaceAll("const ", "var ")).toBe(code);
});

test("text that looks like a declaration inside a template is not touched", async () => {
  const code = await bundle("export const page = `\nvar x = 1;\n`;");
  const restored = restoreConstants(code);
  expect(restored).toContain("const page = ");
  expect(restored).toContain("\nvar x = 1;\n");
});

test("modules of others and variables declared twice are left alone", () => {
  const code = "// node_modules/x/index.js\nvar a = 1;\n// main.ts\nvar b = 1;\nvar b = 2;\nvar c = 3;\n";
  expect(restoreConstants(code)).toBe(code.replace("var c", "const c"));
});

test("every way to assign counts", () => {
  const ways = ["a = 2", "a += 2", "a ??= 2", "a++", "--a", "[a] = []", "({ a } = {})", "({ x: [a = 1] } = {})"];
  for (const way of [...ways.map((each) => `${each};`), "for (a of []);", "for (a in {});"]) {
    const code = `// main.ts\nvar a = 1;\nfunction f() {\n  ${way}\n}\n`;
    expect(restoreConstants(code), way).toBe(code);
  }
  const read = "// main.ts\nvar a = 1;\na.b = 1;\nc[a] = 1;\n";
  expect(restoreConstants(read)).toContain("const a = 1");
});

test("declarations inside functions are not touched", () => {
  const code = "// main.ts\nfunction f() {\n  var x = 1;\n  return x;\n}\n";
  expect(restoreConstants(code)).toBe(code);
});
