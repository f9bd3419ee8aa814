import { existsSync, readdirSync } from "node:fs";
import path from "node:path";

const root = path.resolve(import.meta.dirname, "../..");

/** Every `*.fuzz.ts` of the packages, relative to the root, in order of name. */
export function fuzzFiles(): string[] {
  const found: string[] = [];
  const walk = (folder: string): void => {
    for (const entry of readdirSync(path.join(root, folder), { withFileTypes: true })) {
      const each = `${folder}/${entry.name}`;
      if (entry.isDirectory() && !["node_modules", "dist", ".tesserae"].includes(entry.name)) walk(each);
      else if (entry.isFile() && entry.name.endsWith(".fuzz.ts")) found.push(each);
    }
  };
  for (const folder of ["lib", "targets", "tool"]) if (existsSync(path.join(root, folder))) walk(folder);
  return found.sort();
}
