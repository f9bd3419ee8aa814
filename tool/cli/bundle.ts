import { existsSync, readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import type { Graph } from "@tesserae/config/graph";
import type { Target } from "@tesserae/config/target";
import {
  build,
  transform,
  type BuildFailure,
  type BuildResult,
  type Loader,
  type Metafile,
  type Plugin,
} from "esbuild";
import { canonical, outputFolder } from "./canonical.ts";
import { crunch, crunchModule, type CrunchedFile } from "./crunch.ts";
import { entrySource } from "./entry.ts";
import { externalSource } from "./external.ts";
import { Failure } from "./failure.ts";
import { foldKeys } from "./fold-keys.ts";
import { diagnosticsOf } from "./load-config.ts";
import { toolModules, type PackageTree } from "./package-tree.ts";
import { findNetworking } from "./networking.ts";
import type { Project } from "./project.ts";
import { moveColumns, type Move } from "./source-map.ts";
import { systemFailure } from "./system-failure.ts";
import { rememberedCandidates } from "./constant-memory.ts";
import { constantPlaces, movedColumns, withConstants } from "./top-level-constants.ts";

export interface BundleRequest {
  readonly project: Project;
  readonly packages: PackageTree;
  readonly graph: Graph;
  readonly target: Target;
  /** As in the configuration. */
  readonly main: string;
  readonly scenario?: string | undefined;
  readonly release: boolean;
}

export interface Bundle {
  readonly code: string;
  /** A version 3 source map, as JSON. */
  readonly map: string;
  readonly metafile: Metafile;
  /** The files compiled in, by their input name in the metafile. */
  readonly crunched: ReadonlyMap<string, string>;
  readonly warnings: readonly string[];
}

/** The input of the generated first module in a metafile. */
export const entryInput = "tesserae:entry";

/**
 * Bundles the image into one module. Nothing is written.
 *
 * The result does not depend on where the application or its packages lie: paths in comments and in the source map
 * are those of packages, or relative to the application.
 *
 * @throws Failure with the place, for what the bundler finds wrong.
 */
export async function bundle(request: BundleRequest): Promise<Bundle> {
  const { project, target } = request;
  const crunched = new Map<string, string>();
  const name = (input: string): string => canonical(input, request);
  const outfile = path.join(outputFolder(project, target.name), `${request.graph.name}.mjs`);
  const attempt = async ({
    banner,
    minify,
    ...parts
  }: Attempt): Promise<BuildResult<{ write: false; metafile: true }>> =>
    build({
      entryPoints: [entryInput],
      absWorkingDir: project.folder,
      outfile,
      bundle: true,
      write: false,
      metafile: true,
      format: "esm",
      platform: "node",
      target: "node20",
      mainFields: ["module", "main"],
      conditions: ["tesserae-source", "module"],
      nodePaths: [...toolModules()],
      sourcemap: "external",
      treeShaking: true,
      minify,
      charset: "utf8",
      legalComments: "none",
      logLevel: "silent",
      banner: { js: banner },
      plugins: [imagePlugin(request, parts, crunched)],
    });
  let result: BuildResult<{ write: false; metafile: true }>;
  let metafile: Metafile;
  const warnings: string[] = [];
  try {
    let how: Attempt = { banner: "", serves: false, nodeApi: false, minify: false };
    result = await attempt(how);
    const inputs = Object.keys(result.metafile.inputs);
    const serves = inputs.some((input) => /^@tesserae\/http\/(dist\/)?server\.[jt]s$/.test(name(input)));
    const ours = (input: string): boolean => name(input).startsWith("@tesserae/");
    const fileOf = (input: string): string | undefined =>
      input.startsWith("tesserae:") ? undefined : path.resolve(project.folder, input);
    const networking = target.nodeApi ? findNetworking(result.metafile, ours, fileOf) : undefined;
    const stacked = request.graph.devices.some((each) => each.kind === "stack");
    if (networking !== undefined && !stacked) {
      const where = `"${networking.module}", which ${name(networking.input)} uses,`;
      warnings.push(`${where} reaches no network without a stack: declare stack: device.stack()`);
    }
    if (serves || (networking !== undefined && stacked)) {
      how = { ...how, serves, nodeApi: networking !== undefined && stacked };
      result = await attempt(how);
    }
    // CommonJS packages that ask for Node's own modules need a `require` that a module does not have.
    if (textOf(result, ".mjs").includes("Dynamic require of")) {
      how = {
        ...how,
        banner: `import { createRequire as $createRequire } from "node:module"; const require = $createRequire(import.meta.url);`,
      };
      result = await attempt(how);
    }
    // What each library costs in the end is known when the bundler itself makes it small.
    metafile = request.release ? (await attempt({ ...how, minify: true })).metafile : result.metafile;
  } catch (error) {
    throw failureIn(error) ?? new Failure(diagnosticsOf(error, project.folder));
  }
  const printed = textOf(result, ".mjs");
  const candidates = rememberedCandidates(project, target.name, printed);
  const places = constantPlaces(candidates, (input) => withoutVar(input, request, name));
  const readable = {
    code: renamePaths(withConstants(printed, places), Object.keys(metafile.inputs), name),
    map: finishMap(textOf(result, ".map"), outfile, request, movedColumns(printed, places)),
  };
  return {
    ...(request.release ? await minified(readable) : readable),
    metafile,
    crunched,
    warnings: [
      ...warnings,
      ...result.warnings.map(({ text, location }) =>
        location === null ? text : `${name(location.file)}:${String(location.line)}: ${text}`,
      ),
    ],
  };
}

/** What the first module of an image brings beside what the graph chose. */
interface Parts {
  /** Whether the image is a server of HTTP. */
  readonly serves: boolean;
  /** Whether its code uses Node.js's networking modules, and they run on its own stack. */
  readonly nodeApi: boolean;
}

/** What differs between the times that an image is bundled. */
interface Attempt extends Parts {
  readonly banner: string;
  readonly minify: boolean;
}

/**
 * Whether a module is of the libraries, or of an application and has no `var`: then its constants are given back what
 * bundling took away, and it is as fast as it was before.
 */
function withoutVar(input: string, request: BundleRequest, name: (input: string) => string): boolean {
  if (name(input).startsWith("@tesserae/")) return true;
  const file = path.resolve(request.project.folder, input);
  const own = file.startsWith(`${request.project.folder}${path.sep}`) && !input.includes("node_modules/");
  return own && existsSync(file) && !/\bvar\b/.test(readFileSync(file, "utf8"));
}

/** Makes a bundle small. Were the bundler to do it, it would print `var` for every constant. */
async function minified({ code, map }: Pick<Bundle, "code" | "map">): Promise<Pick<Bundle, "code" | "map">> {
  const inline = `//# sourceMappingURL=data:application/json;base64,${Buffer.from(map).toString("base64")}\n`;
  const small = await transform(code + inline, {
    format: "esm",
    platform: "node",
    target: "node20",
    minify: true,
    treeShaking: true,
    sourcemap: "external",
    charset: "utf8",
    legalComments: "none",
    logLevel: "silent",
  });
  return { code: small.code, map: small.map };
}

/** The failure of ours that a plugin passed through the bundler. */
function failureIn(error: unknown): Failure | undefined {
  // as: what the bundler rejects with has a list of messages; of anything else there is nothing to find.
  const { errors } = error as Partial<BuildFailure>;
  return errors?.map((each): unknown => each.detail).find((detail) => detail instanceof Failure);
}

function textOf(result: BuildResult<{ write: false; metafile: true }>, end: string): string {
  return result.outputFiles.find((each) => each.path.endsWith(end))?.text ?? "";
}

/** Replaces the paths that the bundler leaves in comments, and in the names of CommonJS modules. */
function renamePaths(code: string, inputs: readonly string[], name: (input: string) => string): string {
  const names = new Map(inputs.map((input) => [input, name(input)]));
  return code
    .replace(/^( *)\/\/ (\S.*)$/gm, (line, indent: string, input: string) => {
      const known = names.get(input);
      return known === undefined ? line : `${indent}// ${known}`;
    })
    .replace(/^( {2})"([^"\n]+)"(\(\w*(?:, \w+)*\) \{)$/gm, (line, indent: string, input: string, rest: string) => {
      const known = names.get(input);
      return known === undefined ? line : `${indent}${JSON.stringify(known)}${rest}`;
    });
}

/** Names the sources as {@link canonical} does, and follows what moved since the map was made. */
function finishMap(
  map: string,
  outfile: string,
  request: BundleRequest,
  moves: ReadonlyMap<number, readonly Move[]>,
): string {
  // as: esbuild writes version 3 source maps.
  const parsed = JSON.parse(map) as { sources: string[]; mappings: string } & Readonly<Record<string, unknown>>;
  parsed.mappings = moveColumns(parsed.mappings, moves);
  const { folder } = request.project;
  parsed.sources = parsed.sources.map((source) => {
    if (source.startsWith("tesserae:")) return source;
    const input = path.relative(folder, path.resolve(path.dirname(outfile), source));
    const name = canonical(input.split(path.sep).join("/"), request);
    return path.isAbsolute(input) || input.startsWith("..") || input.includes("node_modules") ? name : `../../${name}`;
  });
  return JSON.stringify(parsed);
}

/** Serves the generated modules and folds build-time keys in the main one. */
function imagePlugin(request: BundleRequest, parts: Parts, crunched: Map<string, string>): Plugin {
  const { project, graph, target } = request;
  const main = path.resolve(project.folder, request.main);
  const files = new Map<string, CrunchedFile>();
  return {
    name: "tesserae",
    setup(build) {
      build.onResolve({ filter: /^tesserae:/ }, ({ path: specifier }) => ({
        path: specifier.slice("tesserae:".length),
        namespace: "tesserae",
      }));
      build.onResolve({ filter: /^[^.:]+$/ }, ({ path: specifier }) =>
        target.external.includes(specifier) ? { path: `external/${specifier}`, namespace: "tesserae" } : undefined,
      );
      build.onLoad({ filter: /^external\//, namespace: "tesserae" }, ({ path: name }) => ({
        contents: externalSource(name.slice("external/".length), target.package),
        loader: "js",
      }));
      build.onLoad({ filter: /^entry$/, namespace: "tesserae" }, () => ({
        contents: entrySource(graph, target, {
          main: request.main,
          scenario: request.scenario,
          ...parts,
          files: (folder) => `tesserae:files/${folder}`,
          path: (name) => `../../${path.posix.normalize(name)}`,
        }),
        loader: "js",
        resolveDir: project.folder,
      }));
      build.onLoad({ filter: /^files\//, namespace: "tesserae" }, ({ path: name }) => {
        const folder = name.slice("files/".length);
        let found: readonly CrunchedFile[];
        try {
          found = crunch(path.resolve(project.folder, folder), folder);
        } catch (error) {
          const told = error instanceof Failure ? error : systemFailure(error);
          if (told === undefined) throw error;
          return { errors: [{ detail: told }] };
        }
        for (const each of found) files.set(`${folder}/${each.key}`, each);
        const contents = crunchModule(found, (each) => `tesserae:file/${folder}/${each.key}`);
        return { contents, loader: "js", resolveDir: project.folder };
      });
      build.onLoad({ filter: /^file\//, namespace: "tesserae" }, async ({ path: name }) => {
        const file = files.get(name.slice("file/".length));
        if (file === undefined) throw new Error(`no file "${name}"`);
        crunched.set(`tesserae:${name}`, file.file);
        return { contents: await readFile(file.file), loader: "base64" };
      });
      if (Object.keys(graph.constants).length === 0) return;
      build.onLoad({ filter: /\.[cm]?[tj]sx?$/, namespace: "file" }, async ({ path: file }) => {
        if (file !== main) return undefined;
        const extension = path.extname(file).replace(/^\.[cm]?/, "");
        // as: the filter lets these four through, and each is the name of a loader.
        const loader = extension as Loader;
        return { contents: foldKeys(await readFile(file, "utf8"), file, graph.constants), loader };
      });
    },
  };
}
