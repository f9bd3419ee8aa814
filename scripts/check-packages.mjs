// Packs every package, installs the packs in a bare project, and imports and type-checks every entry of each.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

const root = path.resolve(import.meta.dirname, "..");
process.chdir(root);
const project = mkdtempSync(path.join(tmpdir(), "tesserae-pack-"));
process.on("exit", () => rmSync(project, { recursive: true, force: true }));

/** @type {{ folder: string, name: string, tarball: string, entries: string[] }[]} */
const packages = [];
for (const layer of ["lib", "targets", "tool"]) {
  for (const each of readdirSync(layer)) {
    const folder = path.join(layer, each);
    let manifest;
    try {
      manifest = JSON.parse(readFileSync(path.join(folder, "package.json"), "utf8"));
    } catch {
      continue;
    }
    const [packed] = JSON.parse(
      execFileSync("npm", ["pack", "--json", "--loglevel=error", "--pack-destination", project], {
        cwd: folder,
        encoding: "utf8",
      }),
    );
    /** @type {string[]} */
    const files = packed.files.map((/** @type {{ path: string }} */ file) => file.path);
    for (const needed of ["README.md", "package.json"]) {
      if (!files.includes(needed)) fail(`${manifest.name}: ${needed} is not in the pack`);
    }
    const stray = files.filter((file) => /\.(test|fuzz)\.|fixtures|tsbuildinfo/.test(file));
    if (stray.length > 0) fail(`${manifest.name}: does not belong in the pack: ${stray.join(", ")}`);
    const entries = files
      .filter((file) => /^dist\/.*\.js$/.test(file))
      .map((file) => file.replace(/^dist\//, "").replace(/\.js$/, ""));
    if (entries.length === 0) fail(`${manifest.name}: nothing was built`);
    packages.push({ folder, name: manifest.name, tarball: path.join(project, packed.filename), entries });
  }
}

for (const each of packages) {
  const lint = spawnSync("npx", ["--no-install", "publint", "--strict", "--pack", "false", each.folder], {
    encoding: "utf8",
  });
  if (lint.status !== 0) fail(`${each.name}: publint\n${lint.stdout}${lint.stderr}`);
}

writeFileSync(path.join(project, "package.json"), JSON.stringify({ private: true, type: "module" }));
execFileSync(
  "npm",
  ["install", "--no-audit", "--no-fund", "--loglevel=error", ...packages.map((each) => each.tarball)],
  { cwd: project, stdio: "inherit" },
);
mkdirSync(path.join(project, "src"));
let count = 0;
for (const each of packages) {
  const imports = each.entries.map((entry) => `${each.name}/${entry}`).filter((entry) => !entry.endsWith("/main"));
  count += imports.length;
  const script = imports.map((entry) => `await import(${JSON.stringify(entry)});`).join("\n");
  writeFileSync(path.join(project, "src", "load.mjs"), script);
  const loaded = spawnSync(process.execPath, ["src/load.mjs"], { cwd: project, encoding: "utf8" });
  if (loaded.status !== 0) fail(`${each.name}: an entry does not load\n${loaded.stderr}`);
  writeFileSync(
    path.join(project, "src", `${path.basename(each.folder)}.ts`),
    imports.map((entry, index) => `import * as m${index} from ${JSON.stringify(entry)}; void m${index};`).join("\n"),
  );
}
writeFileSync(
  path.join(project, "tsconfig.json"),
  JSON.stringify({
    compilerOptions: {
      module: "NodeNext",
      target: "ES2022",
      lib: ["ES2023", "DOM", "DOM.Iterable", "DOM.AsyncIterable"],
      strict: true,
      noEmit: true,
      skipLibCheck: false,
      types: ["node"],
      typeRoots: [path.join(root, "node_modules/@types")],
    },
    include: ["src/*.ts"],
  }),
);
const checked = spawnSync(process.execPath, [path.join(root, "node_modules/typescript/bin/tsc"), "-p", project], {
  encoding: "utf8",
});
// Type errors inside other people's declarations are theirs.
const ours = checked.stdout.split("\n").filter((line) => /^(src|node_modules\/@tesserae)\//.test(line));
if (ours.length > 0) fail(`types do not resolve:\n${ours.join("\n")}`);
console.log(`${packages.length} packages packed and installed; ${count} entries load and type-check`);

/** @param {string} text @returns {never} */
function fail(text) {
  console.error(text);
  process.exit(1);
}
