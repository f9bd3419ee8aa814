import { existsSync, readdirSync } from "node:fs";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import process from "node:process";
import { catalogue } from "@tesserae/config/catalogue";
import type { Diagnostic } from "@tesserae/config/diagnostic";
import { createGraph, type Graph } from "@tesserae/config/graph";
import type { Implementation } from "@tesserae/config/implementation";
import { packageOf } from "@tesserae/config/solver";
import { targets, type Target } from "@tesserae/config/target";
import { parseArguments } from "@tesserae/image/arguments";
import { flagOf, parseKey } from "@tesserae/image/key";
import { didYouMean, nearest } from "@tesserae/image/nearest";
import { version as esbuildVersion } from "esbuild";
import { canonical, outputFolder } from "./canonical.ts";
import type { CheckRequest } from "./check-types.ts";
import { commands } from "./command.ts";
import { costs, type Cost } from "./cost.ts";
import { findsExternal } from "./external.ts";
import { failure, Failure, usage } from "./failure.ts";
import { loadConfig, ThrownFailure, type LoadedConfig } from "./load-config.ts";
import type { MachineImage, MachineRequest } from "./machine-image.ts";
import { manifestText } from "./manifest.ts";
import { PackageTree, type PackageFolder } from "./package-tree.ts";
import type { ParsedFiles } from "./parsed-files.ts";
import { relative, type Project } from "./project.ts";
import { toolVersion } from "./tool-version.ts";

const toolFlags = [...new Set(commands.flatMap((each) => each.flags.map((flag) => `--${flag.name}`)))];

/** How to make an image. */
export interface BuildRequest {
  readonly project: Project;
  readonly target: string;
  readonly release: boolean;
  readonly check: boolean;
  /** The implementation of `files` to take, whatever the configuration says. */
  readonly files?: string | undefined;
  /** Flags the tool does not know: build-time keys, and what goes to the image. */
  readonly image: readonly string[];
  /** Whether flags that are no build-time keys are refused, or left in `rest`. */
  readonly strict: boolean;
  /** For a command that builds again and again: what the compiler has read. */
  readonly parsed?: ParsedFiles;
  /** For the vm target: what goes into the machine beside the application. */
  readonly machine?: MachineRequest;
  readonly progress: (text: string) => void;
}

export interface Built {
  readonly name: string;
  readonly target: string;
  /** Absolute paths. */
  readonly image: string;
  readonly map: string;
  readonly manifest: string;
  readonly bytes: number;
  readonly costs: readonly Cost[];
  readonly warnings: readonly string[];
  /** What of `image` is for the image itself. */
  readonly rest: readonly string[];
  /** Absolute paths of everything it was made from. */
  readonly inputs: readonly string[];
  readonly graph: Graph;
  /** For the vm target: what a hypervisor boots. */
  readonly machine?: MachineImage;
}

/** A configuration with the graph that a target makes of it. */
export interface Planned extends LoadedConfig {
  readonly graph: Graph;
  readonly target: Target;
  /** The target's package. */
  readonly booting: PackageFolder;
  readonly packages: PackageTree;
  readonly rest: readonly string[];
}

/** @throws Failure with status 2 when there is none. */
export function targetNamed(name: string): Target {
  const target = targets.find((each) => each.name === name);
  const names = targets.map((each) => each.name);
  if (target === undefined) throw usage(`there is no target "${name}"${didYouMean(name, names)}`);
  return target;
}

/** Loads the configuration and chooses implementations. @throws Failure */
export async function plan(
  request: Pick<BuildRequest, "project" | "target" | "files" | "image" | "strict" | "check">,
): Promise<Planned> {
  const { project } = request;
  const target = targetNamed(request.target);
  const packages = new PackageTree();
  const booting = packages.find(target.package, project.folder);
  if (booting === undefined) {
    throw failure(
      `target ${target.name} is in ${target.package}, which is not installed`,
      `run: npm install ${target.package}`,
    );
  }
  const loaded = await loadConfig(project, packages).catch(async (error: unknown) => {
    // What an engine says of a misspelt name, the compiler says better.
    if (!(error instanceof ThrownFailure) || error.ours || !request.check) throw error;
    const problems = await checkTypes({ project, packages, devices: [], keys: [], target });
    throw problems.length > 0 ? new Failure(problems) : error;
  });
  const { given, rest } = buildKeys(loaded, request);
  for (const [name, text] of Object.entries(given)) {
    const key = loaded.config.keys[name];
    const parsed = key === undefined ? undefined : parseKey(key.type, text);
    if (parsed?.ok === false) throw usage(`--${flagOf(name)}: ${parsed.message}`);
  }
  const result = createGraph({
    config: loaded.config,
    target,
    catalogue,
    ...(request.files === undefined ? {} : { choices: { files: request.files } }),
    constants: given,
    versionOf: (each) =>
      each.module === undefined ? booting.version : versionOf(each, each.module, project, packages),
    locate: (trace) => loaded.locate(trace),
  });
  if (result.ok) {
    const known = new Set(
      [
        ...result.graph.keys.flatMap(({ name }) => [flagOf(name), `no-${flagOf(name)}`]),
        ...Object.keys(target.flags),
      ].map((each) => `--${each}`),
    );
    for (const word of rest) {
      const flag = word.replace(/=.*$/s, "");
      // What is near a key or a flag of the target is left to the image, which knows them best.
      if (!flag.startsWith("--") || known.has(flag) || nearest(flag, known) !== undefined) continue;
      const near = nearest(flag, toolFlags);
      if (near !== undefined) throw usage(`unknown flag "${flag}" (did you mean "${near}"?)`);
    }
  } else {
    // The compiler knows the very line of what has the wrong type.
    const asked = request.check && !result.unsolvable;
    const problems = asked ? await checkTypes({ project, packages, devices: [], keys: [], target }) : [];
    throw new Failure(problems.length > 0 ? problems : result.diagnostics);
  }
  return { ...loaded, graph: result.graph, target, booting, packages, rest };
}

/**
 * Makes the image: `.tesserae/<target>/<name>.mjs`, its source map and `manifest.json`, each replaced whole.
 *
 * @throws Failure; no image is written then.
 */
export async function buildImage(request: BuildRequest): Promise<Built> {
  const { project, progress } = request;
  progress("reading the configuration …");
  const planned = await plan(request);
  const { config, graph, target, packages } = planned;
  const scenario = target.name === "sim" ? config.scenario : undefined;
  checkModules(planned, project, scenario);
  if (request.check) {
    progress("checking types …");
    const problems = await checkTypes({
      project,
      packages,
      main: config.main,
      scenario,
      devices: Object.keys(config.devices),
      keys: Object.keys(config.keys),
      target,
      parsed: request.parsed,
    });
    if (problems.length > 0) throw new Failure(problems);
  }
  progress("bundling …");
  const { bundle, entryInput } = await import("./bundle.ts");
  const { release } = request;
  const made = await bundle({ project, packages, graph, target, main: config.main, scenario, release });
  const shown = (input: string): string =>
    input.startsWith("..") || input.includes("node_modules/")
      ? canonical(input, { project, packages })
      : relative(path.resolve(project.folder, input));
  if (!target.nodeModules) {
    const { checkPortable } = await import("./portable.ts");
    const trusted = trustedPackages(graph);
    const problems = checkPortable({
      metafile: made.metafile,
      entry: entryInput,
      target: target.name,
      shown,
      fileOf: (input) => (input.startsWith("tesserae:") ? undefined : path.resolve(project.folder, input)),
      trusted: (input) =>
        input.startsWith("tesserae:external/") ||
        trusted.has(packages.ownerOf(path.resolve(project.folder, input))?.name ?? ""),
      foreign: (input) =>
        input.includes("node_modules/") && !canonical(input, { project, packages }).startsWith("@tesserae/"),
    });
    if (problems.length > 0) throw new Failure(problems);
  }
  const folder = outputFolder(project, target.name);
  const external = target.external.filter((name) => `tesserae:external/${name}` in made.metafile.inputs);
  for (const name of external) {
    if (findsExternal(name, target.package, folder)) continue;
    throw failure(
      `an image for target ${target.name} loads the package "${name}", and would not find it from ${relative(folder)}`,
      `run, in ${project.folder}: npm install ${target.package}`,
    );
  }
  progress("writing …");
  const { ts } = await import("./compiler.ts");
  const { name } = graph;
  const code = `${made.code}//# sourceMappingURL=${name}.mjs.map\n`;
  const manifest = manifestText({
    project,
    packages,
    graph,
    metafile: made.metafile,
    crunched: made.crunched,
    configFiles: planned.files,
    code,
    external: Object.fromEntries(
      external.map((name) => [name, packages.find(name, planned.booting.folder)?.version ?? "absent"]),
    ),
    release,
    tools: { "@tesserae/cli": toolVersion(), esbuild: esbuildVersion, typescript: ts.version },
  });
  await replaceFiles(folder, [
    [`${name}.mjs.map`, made.map],
    [`${name}.mjs`, code],
    ["manifest.json", manifest],
  ]);
  const image = path.join(folder, `${name}.mjs`);
  let machine: MachineImage | undefined;
  if (request.machine !== undefined) {
    const { buildMachineImage } = await import("./machine-image.ts");
    const wanted = (kind: string): number =>
      graph.devices.filter((each) => each.kind === kind && each.implementation.module === undefined).length;
    const devices = { interfaces: wanted("netif"), disks: wanted("block") };
    machine = await buildMachineImage({ name, bundle: image, ...devices, progress }, request.machine);
  }
  const inputs = Object.keys(made.metafile.inputs).flatMap((input) => {
    const file = made.crunched.get(input);
    return file !== undefined ? [file] : input.startsWith("tesserae:") ? [] : [path.resolve(project.folder, input)];
  });
  return {
    name,
    target: target.name,
    image,
    map: path.join(folder, `${name}.mjs.map`),
    manifest: path.join(folder, "manifest.json"),
    bytes: Buffer.byteLength(code),
    costs: costs(made.metafile, project, packages),
    warnings: made.warnings,
    rest: planned.rest,
    inputs: [...new Set([...inputs, ...planned.files])],
    graph,
    ...(machine === undefined ? {} : { machine }),
  };
}

/** The compiler takes a while to load: it is loaded when it is asked. */
async function checkTypes(request: CheckRequest): Promise<readonly Diagnostic[]> {
  const compiler = await import("./check-types.ts");
  return compiler.checkTypes(request);
}

/** Takes the build-time keys out of the image's flags. */
function buildKeys(
  loaded: LoadedConfig,
  request: Pick<BuildRequest, "image" | "strict">,
): { readonly given: Readonly<Record<string, string>>; readonly rest: readonly string[] } {
  const keys = Object.entries(loaded.config.keys).flatMap(([name, key]) =>
    key.stage === "build" ? [{ name, type: key.type, doc: key.doc }] : [],
  );
  if (request.strict) {
    const parsed = parseArguments(request.image, keys);
    if (!parsed.ok) {
      const word = /unknown flag "--([^"]+)"/.exec(parsed.message)?.[1];
      const near = word === undefined ? undefined : nearest(`--${word}`, toolFlags);
      if (near !== undefined) throw usage(`unknown flag "--${word ?? ""}" (did you mean "${near}"?)`);
      const run = Object.entries(loaded.config.keys).some(
        ([name, key]) => key.stage === "run" && flagOf(name) === word,
      );
      throw run
        ? usage(`--${word ?? ""} is a run-time key`, "give it to tesserae run, or to the image when it starts")
        : usage(parsed.message.replace("; --help lists them all", ""));
    }
    const [first] = parsed.rest;
    if (first !== undefined) throw usage(`unexpected argument "${first}"`);
    return { given: parsed.keys, rest: [] };
  }
  const given: Record<string, string> = {};
  const rest: string[] = [];
  for (let index = 0; index < request.image.length; index++) {
    const word = request.image[index] ?? "";
    const name = word.replace(/=.*$/s, "");
    const key = keys.find((each) => [`--${flagOf(each.name)}`, `--no-${flagOf(each.name)}`].includes(name));
    if (key === undefined) rest.push(word);
    else {
      const valued = key.type.kind !== "boolean" && !word.includes("=");
      const parsed = parseArguments(valued ? [word, ...request.image.slice(++index, index + 1)] : [word], [key]);
      if (!parsed.ok) throw usage(parsed.message);
      Object.assign(given, parsed.keys);
    }
  }
  return { given, rest };
}

function versionOf(
  { version }: Implementation,
  module: string,
  project: Project,
  packages: PackageTree,
): string | undefined {
  if (module.startsWith(".")) return version ?? "0.0.0";
  const found = packages.find(packageOf(module), project.folder);
  return found === undefined ? undefined : (version ?? found.version);
}

/** The packages of the targets, and of devices that are made for some targets only: they may use the platform. */
function trustedPackages(graph: Graph): ReadonlySet<string> {
  const special = graph.devices.flatMap(({ implementation: { module, targets: only } }) =>
    module === undefined || only === undefined || module.startsWith("@tesserae/") ? [] : [packageOf(module)],
  );
  return new Set([...targets.map((each) => each.package), "@tesserae/node-api", ...special]);
}

function checkModules(planned: Planned, project: Project, scenario: string | undefined): void {
  const { config } = planned;
  const missing: Diagnostic[] = [];
  for (const [what, module] of Object.entries({ main: config.main, scenario })) {
    if (module === undefined) continue;
    const file = path.resolve(project.folder, module);
    if (existsSync(file)) continue;
    const folder = path.dirname(file);
    const near = existsSync(folder) ? readdirSync(folder).map((each) => `./${each}`) : [];
    const location = planned.locate(config.trace);
    missing.push({
      ...(location === undefined ? {} : { location }),
      message: `${what}: there is no file "${module}"${didYouMean(module, near)}`,
      fix: what === "main" ? `make it, exporting: async function main(devices: Devices<typeof config>)` : "make it",
    });
  }
  for (const { id, options } of planned.graph.devices) {
    for (const option of Object.values(options)) {
      if (!("files" in option) || existsSync(path.resolve(project.folder, option.files))) continue;
      const location = planned.locate(config.devices[id]?.trace ?? "");
      const near = readdirSync(project.folder).map((each) => `./${each}`);
      const message = `there is no folder "${option.files}" to compile in${didYouMean(option.files, near)}`;
      missing.push({ ...(location === undefined ? {} : { location }), message, fix: "correct device.files(…)" });
    }
  }
  if (missing.length > 0) throw new Failure(missing);
}

/** Writes all files beside their places first, then moves each into place. */
async function replaceFiles(folder: string, files: readonly (readonly [name: string, text: string])[]): Promise<void> {
  await mkdir(folder, { recursive: true });
  const temporary = (name: string): string => path.join(folder, `.${name}.${String(process.pid)}.tmp`);
  try {
    for (const [name, text] of files) await writeFile(temporary(name), text);
    for (const [name] of files) await rename(temporary(name), path.join(folder, name));
  } finally {
    for (const [name] of files) await rm(temporary(name), { force: true });
  }
}
