import path from "node:path";
import type { Metafile } from "esbuild";
import type { PackageTree } from "./package-tree.ts";
import type { Project } from "./project.ts";

/** What one library costs. */
export interface Cost {
  readonly library: string;
  readonly bytes: number;
}

/** The bytes of each library in the image, the costliest first: packages by name, the application, its files. */
export function costs(metafile: Metafile, project: Project, packages: PackageTree): readonly Cost[] {
  const bytes = new Map<string, number>();
  for (const output of Object.values(metafile.outputs)) {
    for (const [input, { bytesInOutput }] of Object.entries(output.inputs)) {
      if (bytesInOutput === 0) continue;
      const library = libraryOf(input, project, packages);
      bytes.set(library, (bytes.get(library) ?? 0) + bytesInOutput);
    }
  }
  return [...bytes]
    .map(([library, each]) => ({ library, bytes: each }))
    .sort((a, b) => b.bytes - a.bytes || (a.library < b.library ? -1 : 1));
}

/** A table of {@link costs} with their sum. */
export function costTable(list: readonly Cost[]): readonly string[] {
  const total = list.reduce((sum, each) => sum + each.bytes, 0);
  const rows = [...list, { library: "in all", bytes: total }];
  const width = Math.max(...rows.map((each) => each.library.length));
  const digits = Math.max(...rows.map((each) => grouped(each.bytes).length));
  return rows.map(({ library, bytes }) => `  ${library.padEnd(width)}  ${grouped(bytes).padStart(digits)} B`);
}

/** `12,345`. */
export function grouped(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ",");
}

function libraryOf(input: string, project: Project, packages: PackageTree): string {
  if (input.startsWith("tesserae:file/")) return "compiled files";
  if (input.startsWith("tesserae:files/")) return "compiled files";
  if (input.startsWith("tesserae:")) return "the entry";
  const file = path.resolve(project.folder, input);
  const inside = file.startsWith(`${project.folder}${path.sep}`) && !input.includes("node_modules/");
  return inside ? "the application" : (packages.ownerOf(file)?.name ?? "other files");
}
