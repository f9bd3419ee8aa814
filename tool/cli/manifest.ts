import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import path from "node:path";
import type { Graph } from "@tesserae/config/graph";
import { formatKey } from "@tesserae/image/key";
import type { Metafile } from "esbuild";
import { canonical } from "./canonical.ts";
import type { PackageTree } from "./package-tree.ts";
import type { Project } from "./project.ts";

export interface ManifestRequest {
  readonly project: Project;
  readonly packages: PackageTree;
  readonly graph: Graph;
  readonly metafile: Metafile;
  readonly crunched: ReadonlyMap<string, string>;
  /** Absolute paths of what the configuration was made from. */
  readonly configFiles: readonly string[];
  readonly code: string;
  /** The versions of the packages that stay outside. */
  readonly external: Readonly<Record<string, string>>;
  readonly release: boolean;
  /** Exact versions of the tools. */
  readonly tools: Readonly<Record<string, string>>;
}

/**
 * What an image is made of, as JSON: enough to make it again, and the same for the same inputs wherever they lie.
 *
 * `inputs` has the SHA-256 of every file that went in, by its name in the application or its package.
 */
export function manifestText(request: ManifestRequest): string {
  const { project, packages, graph, metafile, crunched } = request;
  const versions = new Map<string, string>();
  const inputs = new Map<string, string>();
  const add = (file: string): void => {
    const name = canonical(path.relative(project.folder, file), request);
    const owner =
      file.startsWith(`${project.folder}${path.sep}`) && !file.includes("node_modules")
        ? undefined
        : packages.ownerOf(file);
    if (owner !== undefined) versions.set(owner.name, owner.version);
    const key = owner === undefined ? name : name.replace(owner.name, `${owner.name}@${owner.version}`);
    inputs.set(key, sha256(readFileSync(file)));
  };
  for (const input of Object.keys(metafile.inputs)) {
    const file = crunched.get(input);
    if (file !== undefined) add(file);
    else if (!input.startsWith("tesserae:")) add(path.resolve(project.folder, input));
  }
  for (const file of request.configFiles) add(file);
  const manifest = {
    manifest: 1,
    name: graph.name,
    target: graph.target,
    release: request.release,
    image: { file: `${graph.name}.mjs`, bytes: Buffer.byteLength(request.code), sha256: sha256(request.code) },
    tools: request.tools,
    packages: sorted(versions),
    external: request.external,
    keys: graph.keys.map(({ name, type, default: usual, path: folder, of }) => ({
      name,
      type,
      ...(usual === undefined ? {} : { default: usual }),
      ...(folder === undefined ? {} : { path: folder }),
      of,
    })),
    constants: Object.fromEntries(Object.entries(graph.constants).map(([name, value]) => [name, formatKey(value)])),
    devices: graph.devices.map(({ id, kind, implementation, version, needs, options }) => ({
      id,
      kind,
      implementation: implementation.name,
      ...(implementation.module === undefined ? {} : { module: implementation.module }),
      version,
      needs,
      options,
    })),
    inputs: sorted(inputs),
  };
  return `${JSON.stringify(manifest, undefined, 2)}\n`;
}

/** In hex. */
export function sha256(content: Uint8Array | string): string {
  return createHash("sha256").update(content).digest("hex");
}

function sorted(entries: ReadonlyMap<string, string>): Readonly<Record<string, string>> {
  return Object.fromEntries([...entries].sort(([a], [b]) => (a < b ? -1 : 1)));
}
