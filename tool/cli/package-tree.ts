import { existsSync, readFileSync, realpathSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

/** An npm package on disk. */
export interface PackageFolder {
  readonly name: string;
  readonly version: string;
  /** Absolute, symbolic links resolved. */
  readonly folder: string;
}

const own = path.dirname(fileURLToPath(import.meta.url));

/** Reads package.json files, each once. */
export class PackageTree {
  readonly #read = new Map<string, PackageFolder | undefined>();

  /** The package that a file is in: the nearest package.json above it with a name. */
  ownerOf(file: string): PackageFolder | undefined {
    for (let folder = path.dirname(file); ; folder = path.dirname(folder)) {
      const found = this.#at(folder);
      if (found !== undefined) return found;
      if (path.dirname(folder) === folder) return undefined;
    }
  }

  /** The package `name` as a module in `from` sees it; else as this tool sees it. */
  find(name: string, from: string): PackageFolder | undefined {
    return this.#lookUp(name, from) ?? this.#lookUp(name, own);
  }

  #lookUp(name: string, from: string): PackageFolder | undefined {
    for (let folder = from; ; folder = path.dirname(folder)) {
      const candidate = path.join(folder, "node_modules", name);
      if (existsSync(path.join(candidate, "package.json"))) return this.#at(realpathSync(candidate));
      if (path.dirname(folder) === folder) return undefined;
    }
  }

  #at(folder: string): PackageFolder | undefined {
    if (this.#read.has(folder)) return this.#read.get(folder);
    let found: PackageFolder | undefined;
    try {
      // as: whatever the file holds, only texts are taken from it below.
      const { name, version } = JSON.parse(readFileSync(path.join(folder, "package.json"), "utf8")) as {
        readonly name?: unknown;
        readonly version?: unknown;
      };
      if (typeof name === "string") found = { name, version: typeof version === "string" ? version : "0.0.0", folder };
    } catch {
      // No package.json here, or one that is not JSON: the next folder up decides.
    }
    this.#read.set(folder, found);
    return found;
  }
}

/** Where modules are looked for when the application's own folders do not have them. */
export function toolModules(): readonly string[] {
  const folders: string[] = [];
  for (let folder = own; path.dirname(folder) !== folder; folder = path.dirname(folder)) {
    const candidate = path.join(folder, "node_modules");
    if (existsSync(candidate)) folders.push(candidate);
  }
  return folders;
}
