import path from "node:path";
import type { PackageTree } from "./package-tree.ts";
import type { Project } from "./project.ts";

/** Where an image and its companions are written. */
export function outputFolder(project: Project, target: string): string {
  return path.join(project.folder, ".tesserae", target);
}

/** How an input of the metafile is called wherever the application lies: `main.ts`, `@tesserae/kv/memory.ts`. */
export function canonical(
  input: string,
  request: { readonly project: Project; readonly packages: PackageTree },
): string {
  if (input.startsWith("tesserae:")) return input;
  const { folder } = request.project;
  const file = path.resolve(folder, input);
  const near = path.relative(folder, file).split(path.sep).join("/");
  if (!near.startsWith("../") && !near.includes("node_modules/")) return near;
  const owner = request.packages.ownerOf(file);
  if (owner === undefined) return near;
  return `${owner.name}/${path.relative(owner.folder, file).split(path.sep).join("/")}`;
}
