import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { checkKey } from "@tesserae/device/kv";
import { failure } from "./failure.ts";

/** One file to be compiled in. */
export interface CrunchedFile {
  readonly key: string;
  /** Absolute. */
  readonly file: string;
  readonly size: number;
  /** The first 128 bits of its SHA-256, in hex. */
  readonly digest: string;
}

/** Files compiled in at most, and their bytes in all. */
const mostFiles = 20_000;
const mostBytes = 512 * 1024 * 1024;

/**
 * The files below a folder, in byte order of their keys. Names that begin with a dot are left out; symbolic links are
 * followed.
 *
 * @throws Failure when there is no such folder, for a name that is no key, and above the bounds.
 */
export function crunch(folder: string, shown: string): readonly CrunchedFile[] {
  const found: CrunchedFile[] = [];
  let bytes = 0;
  const walk = (below: string, depth: number): void => {
    if (depth > 64) throw failure(`"${shown}" is nested more than 64 folders deep (a link to itself?)`);
    for (const name of readdirSync(path.join(folder, below))) {
      if (name.startsWith(".")) continue;
      const key = below === "" ? name : `${below}/${name}`;
      const file = path.join(folder, key);
      const info = statSync(file, { throwIfNoEntry: false });
      if (info === undefined) throw failure(`"${path.join(shown, key)}" is a link to nothing`);
      if (info.isDirectory()) walk(key, depth + 1);
      if (!info.isFile()) continue;
      const wrong = checkKey(key);
      if (wrong !== undefined) throw failure(`"${path.join(shown, key)}" cannot be compiled in: its name ${wrong}`);
      const content = readFileSync(file);
      const digest = createHash("sha256").update(content).digest("hex").slice(0, 32);
      found.push({ key, file, size: content.length, digest });
      bytes += content.length;
      if (found.length > mostFiles || bytes > mostBytes) {
        throw failure(
          `"${shown}" has more than ${String(mostFiles)} files or 512 MiB to compile in`,
          "build with --files directory to serve them from the folder",
        );
      }
    }
  };
  const info = statSync(folder, { throwIfNoEntry: false });
  if (info === undefined) throw failure(`there is no folder "${shown}" to compile in`, "correct device.files(…)");
  if (!info.isDirectory()) throw failure(`"${shown}" is not a folder`, "correct device.files(…)");
  walk("", 0);
  return found.sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)));
}

/** The module of a folder: `files`, as `createCompiledKv` takes it. `specifier` names the module with a file's bytes. */
export function crunchModule(files: readonly CrunchedFile[], specifier: (file: CrunchedFile) => string): string {
  const imports = files.map((file, index) => `import bytes${String(index)} from ${JSON.stringify(specifier(file))};`);
  const entries = files.map(
    // In brackets, as a file may be called __proto__.
    (file, index) =>
      `  [${JSON.stringify(file.key)}]: { bytes: bytes${String(index)}, digest: ${JSON.stringify(file.digest)} },`,
  );
  return `${imports.join("\n")}\nexport const files = {\n${entries.join("\n")}\n};\n`;
}
