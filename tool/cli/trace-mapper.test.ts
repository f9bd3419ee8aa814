import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { build } from "esbuild";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { TraceMapper } from "./trace-mapper.ts";

const folder = mkdtempSync(path.join(tmpdir(), "tesserae-trace-"));
const image = path.join(folder, "app.mjs");
let line = 0;

beforeAll(async () => {
  const source = path.join(folder, "main.ts");
  writeFileSync(
    source,
    "interface Nothing {}\n\nexport function fail(): never {\n  throw new Error('on line 4');\n}\n",
  );
  const { outputFiles } = await build({
    entryPoints: [source],
    outfile: image,
    bundle: true,
    write: false,
    format: "esm",
    sourcemap: "external",
  });
  for (const each of outputFiles) writeFileSync(each.path, each.text);
  const code = outputFiles.find((each) => each.path === image)?.text ?? "";
  line = code.split("\n").findIndex((each) => each.includes("throw")) + 1;
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function mapper(): TraceMapper {
  return new TraceMapper(`${image}.map`, image);
}

test("a stack trace from a machine leads to the sources, however it is cut", () => {
  const trace = `before\nError: on line 4\n    at fail (file:///app/main.mjs:${String(line)}:3)\n    at file:///app/main.mjs:9999:1\nprompt> `;
  const expected = trace.replace(`file:///app/main.mjs:${String(line)}:3`, "main.ts:4:3");
  fc.assert(
    fc.property(fc.infiniteStream(fc.integer({ min: 1, max: 30 })), (cuts) => {
      const traces = mapper();
      let shown = "";
      for (let at = 0; at < trace.length;) {
        const end = at + Number(cuts.next().value);
        shown += traces.take(trace.slice(at, end));
        at = end;
      }
      expect(shown + traces.end()).toBe(expected);
    }),
  );
});

test("other text is shown at once", () => {
  const traces = mapper();
  expect(traces.take("what is your name? ")).toBe("what is your name? ");
  expect(traces.take("\n    at fail (fi")).toBe("\n");
});

test("without a map, traces are shown as they are", () => {
  const traces = new TraceMapper(path.join(folder, "none.map"), image);
  expect(traces.take("    at file:///app/main.mjs:1:1\n")).toBe("    at file:///app/main.mjs:1:1\n");
});
