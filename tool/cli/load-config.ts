import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { SourceMap, type SourceMapPayload } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Config } from "@tesserae/config/config";
import type { Diagnostic } from "@tesserae/config/diagnostic";
import { framesOf, type Location } from "@tesserae/config/location";
import { didYouMean } from "@tesserae/image/nearest";
import { build, type BuildFailure, type Message } from "esbuild";
import { Failure } from "./failure.ts";
import { toolModules, type PackageTree } from "./package-tree.ts";
import { configName, relative, type Project } from "./project.ts";

/** A configuration, evaluated. */
export interface LoadedConfig {
  readonly config: Config;
  /** Every file that went into it, absolute. */
  readonly files: readonly string[];
  /** The place in the developer's files that a stack trace of the configuration leads to. */
  locate(trace: string): Location | undefined;
}

/** What the configuration threw while it was evaluated. */
export class ThrownFailure extends Failure {
  /** Whether a builder of ours threw it: then its words say all there is to say. */
  readonly ours: boolean;

  constructor(diagnostic: Diagnostic, ours: boolean) {
    super([diagnostic]);
    this.ours = ours;
  }
}

/**
 * Bundles `tesserae.config.ts` with all it imports, and evaluates it.
 *
 * @throws Failure with the place, for mistakes in the configuration.
 */
export async function loadConfig(project: Project, packages: PackageTree): Promise<LoadedConfig> {
  const url = pathToFileURL(project.configFile).href;
  const bundle = await build({
    entryPoints: [project.configFile],
    absWorkingDir: project.folder,
    outfile: path.join(project.folder, "config.mjs"),
    bundle: true,
    write: false,
    format: "esm",
    platform: "node",
    target: "node20",
    conditions: ["tesserae-source", "module"],
    nodePaths: [...toolModules()],
    sourcemap: "external",
    sourcesContent: false,
    metafile: true,
    logLevel: "silent",
    // The bundle is evaluated elsewhere; to the code it is still where its source is.
    define: {
      "import.meta.url": JSON.stringify(url),
      "import.meta.dirname": JSON.stringify(project.folder),
      "import.meta.filename": JSON.stringify(project.configFile),
    },
    banner: {
      js: `import { createRequire as $createRequire } from "node:module"; const require = $createRequire(${JSON.stringify(url)});`,
    },
  }).catch((error: unknown) => {
    throw new Failure(diagnosticsOf(error, project.folder));
  });
  const code = bundle.outputFiles.find((each) => each.path.endsWith(".mjs"))?.text ?? "";
  const map = bundle.outputFiles.find((each) => each.path.endsWith(".map"))?.text ?? "{}";
  // as: esbuild writes version 3 source maps.
  const sources = new SourceMap(JSON.parse(map) as SourceMapPayload);
  const scratch = await mkdtemp(path.join(tmpdir(), "tesserae-"));
  const file = path.join(scratch, "config.mjs");
  const locate = (trace: string): Location | undefined => {
    for (const frame of framesOf(trace)) {
      const at = frame.file.startsWith("file:") ? fileURLToPath(frame.file) : frame.file;
      if (path.basename(path.dirname(at)) !== path.basename(scratch)) continue;
      const entry = sources.findEntry(frame.line - 1, frame.column - 1);
      if (!("originalSource" in entry)) continue;
      const original = path.resolve(project.folder, entry.originalSource);
      const owner = original.startsWith(`${project.folder}${path.sep}`) ? undefined : packages.ownerOf(original);
      if (original.includes(`${path.sep}node_modules${path.sep}`) || owner?.name.startsWith("@tesserae/")) continue;
      return { file: relative(original), line: entry.originalLine + 1, column: entry.originalColumn + 1 };
    }
    return undefined;
  };
  try {
    await writeFile(file, code);
    // as: a module namespace is an object.
    const module = (await import(pathToFileURL(file).href)) as Readonly<Record<string, unknown>>;
    const { config } = module;
    if (!isConfig(config)) {
      const hint = "config" in module ? "" : didYouMean("config", Object.keys(module));
      const location = { file: relative(project.configFile), line: 1, column: 1 };
      const message = `${configName} does not export a configuration as "config"${hint}`;
      throw new Failure([{ location, message, fix: "write: export const config = defineConfig({ … });" }]);
    }
    const inputs = Object.keys(bundle.metafile.inputs).map((each) => path.resolve(project.folder, each));
    return { config, files: inputs, locate };
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw new ThrownFailure(thrown(error, project, locate), error instanceof Error && error.name === "ConfigError");
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

function isConfig(value: unknown): value is Config {
  return typeof value === "object" && value !== null && "declares" in value && value.declares === "config";
}

function thrown(error: unknown, project: Project, locate: (trace: string) => Location | undefined): Diagnostic {
  const plain = error instanceof Error;
  const location = (plain ? locate(error.stack ?? "") : undefined) ?? {
    file: relative(project.configFile),
    line: 1,
    column: 1,
  };
  // The configuration has its own copy of ConfigError: it is known by its name.
  const declared = plain && error.name === "ConfigError";
  const message = declared
    ? error.message
    : `the configuration threw ${plain ? `${error.name}: ${error.message}` : String(error)}`;
  const fix = declared && "fix" in error && typeof error.fix === "string" ? { fix: error.fix } : {};
  return { location, message, ...fix };
}

/** esbuild's errors, as ours. What is not one of these is thrown again. */
export function diagnosticsOf(error: unknown, folder: string): readonly Diagnostic[] {
  // as: what esbuild rejects with has a list of messages; anything else is not a build failure and goes on.
  const { errors } = error as Partial<BuildFailure>;
  if (!Array.isArray(errors)) throw error;
  return errors.map((message: Message) => {
    const { location, text, notes } = message;
    const missing = /^Could not resolve "([^"]+)"/.exec(text)?.[1];
    const advice = missing === undefined ? notes[0]?.text : resolveAdvice(missing);
    return {
      message: missing === undefined ? lowerFirst(text) : `cannot find "${missing}"`,
      ...(location === null || location.namespace === "tesserae" || location.file.startsWith("tesserae:")
        ? {}
        : {
            location: {
              file: relative(path.resolve(folder, location.file)),
              line: location.line,
              column: location.column + 1,
            },
          }),
      ...(advice === undefined ? {} : { fix: advice }),
    };
  });
}

function resolveAdvice(specifier: string): string {
  if (specifier.startsWith(".")) return "correct the path; relative imports end in .ts";
  const name = specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
  return `correct the name, or run: npm install ${name}`;
}

function lowerFirst(text: string): string {
  return /^[A-Z][a-z]/.test(text) ? text.charAt(0).toLowerCase() + text.slice(1) : text;
}
