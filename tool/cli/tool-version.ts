import { PackageTree } from "./package-tree.ts";
import { fileURLToPath } from "node:url";

/** The version of this package. */
export function toolVersion(): string {
  return new PackageTree().ownerOf(fileURLToPath(import.meta.url))?.version ?? "0.0.0";
}
