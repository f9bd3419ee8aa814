import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { build } from "esbuild";
import { expect, test } from "vitest";

/** Every example of docs/sim.md, in order, as it is written there. */
async function examples(): Promise<string[]> {
  const text = await readFile(path.join(import.meta.dirname, "../../docs/sim.md"), "utf8");
  return [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map((match) => match[1] ?? "");
}

test("the examples of docs/sim.md run, and say what the page says of them", { timeout: 300_000 }, async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "tesserae-sim-docs-"));
  try {
    const sources = await examples();
    const main = sources.map((_, index) => `console.log("# ${index}"); await import("./example-${index}.ts");`);
    for (const [index, source] of sources.entries()) {
      await writeFile(path.join(folder, `example-${index}.ts`), `${source}\nexport {};\n`);
    }
    await writeFile(path.join(folder, "main.ts"), main.join("\n"));
    await build({
      entryPoints: [path.join(folder, "main.ts")],
      nodePaths: [path.join(import.meta.dirname, "../../node_modules")],
      bundle: true,
      splitting: true,
      format: "esm",
      platform: "node",
      target: "node20",
      conditions: ["tesserae-source"],
      outdir: path.join(folder, "out"),
      outExtension: { ".js": ".mjs" },
      logLevel: "error",
    });
    const { stdout } = await promisify(execFile)(process.execPath, [path.join(folder, "out/main.mjs")]);
    const said = stdout.split(/^# \d+\n/m).slice(1);
    expect(said).toHaveLength(sources.length);
    const all = said.join("");
    expect(said[0]).toContain("a ping takes 40 ms");
    expect(said[1]).toMatch(/no answer to ping \d+\n.*frames were lost/s);
    const delays = [...all.matchAll(/^(?:250000|{.*}): ([\d.]+) ms$/gm)].map((match) => Number(match[1]));
    expect(delays).toHaveLength(3);
    expect(delays[0]).toBeGreaterThan(80);
    expect(Math.max(delays[1] ?? Infinity, delays[2] ?? Infinity)).toBeLessThan(45);
    expect(all).toContain("1372 bytes arrived\n1 packet was too long");
    expect(all).toContain("c: nothing\nb: 2, c: 2");
    expect(all).toMatch(/life 5: \d+ entries/);
    expect(all).toContain("b's timer fires at 3004\na ping takes 3001 ms");
    expect(all).toContain("ms through 2 hops");
    expect(all.match(/end: 'done'/g)).toHaveLength(2);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
