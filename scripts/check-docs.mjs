// Type-checks every ```ts block of every Markdown file as a module of its own.
import { spawnSync } from "node:child_process";
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";

process.chdir(path.resolve(import.meta.dirname, ".."));
const out = "out/docs";
rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });

const files = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", "*.md"], {
  encoding: "utf8",
})
  .split("\n")
  .filter((file) => file !== "" && !file.includes("fixtures/"));
/** Generated file → where its block starts in the documentation. @type {Map<string, { file: string, line: number }>} */
const origin = new Map();
for (const file of files) {
  const lines = readFileSync(file, "utf8").split("\n");
  for (let at = 0; at < lines.length; at++) {
    if (!/^```ts\s*$/.test(lines[at] ?? "")) continue;
    const start = at + 1;
    while (++at < lines.length && !/^```/.test(lines[at] ?? ""));
    const name = `${file.replaceAll(/[^a-z0-9]+/gi, "-")}-${start}.ts`;
    writeFileSync(path.join(out, name), `${lines.slice(start, at).join("\n")}\nexport {};\n`);
    origin.set(name, { file, line: start });
  }
}
writeFileSync(
  path.join(out, "tsconfig.json"),
  JSON.stringify({
    extends: "../../tsconfig.base.json",
    compilerOptions: {
      composite: false,
      declaration: false,
      declarationMap: false,
      noEmit: true,
      noUnusedLocals: false,
      noUnusedParameters: false,
      types: ["node"],
      rewriteRelativeImportExtensions: false,
      allowImportingTsExtensions: true,
    },
    include: ["*.ts"],
  }),
);
const result = spawnSync(process.execPath, ["node_modules/typescript/bin/tsc", "-p", out, "--pretty", "false"], {
  encoding: "utf8",
});
const output = result.stdout.replaceAll(/^(?:out\/docs\/)?([^\s(]+\.ts)\((\d+),/gm, (whole, name, line) => {
  const from = origin.get(path.basename(name));
  return from === undefined ? whole : `${from.file}(${from.line + Number(line)},`;
});
if (output !== "") console.error(output);
console.log(`${origin.size} code blocks of ${files.length} Markdown files checked`);
process.exit(result.status ?? 1);
