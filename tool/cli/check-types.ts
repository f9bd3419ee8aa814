import { builtinModules } from "node:module";
import path from "node:path";
import { device, key } from "@tesserae/config/config";
import type { Diagnostic } from "@tesserae/config/diagnostic";
import type { Target } from "@tesserae/config/target";
import { didYouMean } from "@tesserae/image/nearest";
import type {
  CompilerHost,
  CompilerOptions,
  Diagnostic as Problem,
  Node,
  ParseConfigHost,
  Program,
  SourceFile,
} from "typescript";
import { ts } from "./compiler.ts";
import { CheckMemory } from "./check-memory.ts";
import type { ParsedFiles } from "./parsed-files.ts";
import { toolModules, type PackageTree } from "./package-tree.ts";
import { insteadOf } from "./portable.ts";
import { configName, relative, type Project } from "./project.ts";
import { Witness } from "./witness.ts";

/** What is to be checked together. */
export interface CheckRequest {
  readonly project: Project;
  readonly packages: PackageTree;
  /** As in the configuration: `./main.ts`; absent: the configuration alone is checked. */
  readonly main?: string;
  readonly scenario?: string | undefined;
  readonly devices: readonly string[];
  readonly keys: readonly string[];
  readonly target: Target;
  /** What the checks before this one have read. */
  readonly parsed?: ParsedFiles | undefined;
}

/** The options of an application without a tsconfig.json, and what every application's are completed with. */
const strict: CompilerOptions = {
  target: ts.ScriptTarget.ES2022,
  lib: ["lib.es2023.d.ts", "lib.dom.d.ts", "lib.dom.iterable.d.ts", "lib.dom.asynciterable.d.ts"],
  strict: true,
  noUncheckedIndexedAccess: true,
  exactOptionalPropertyTypes: true,
  verbatimModuleSyntax: true,
  isolatedModules: true,
  types: [],
};

/**
 * Type-checks the application: its configuration, its main module, that `main` takes what the configuration gives,
 * and the scenario. Returns what is wrong, the developer's files only.
 */
export function checkTypes(request: CheckRequest): readonly Diagnostic[] {
  const memory = request.main === undefined ? undefined : new CheckMemory(request);
  if (memory?.holds() === true) return [];
  const witness = new Witness();
  const found = findProblems(request, witness);
  if (found.length === 0) memory?.remember(witness);
  return found;
}

function findProblems(request: CheckRequest, witness: Witness): readonly Diagnostic[] {
  const { project, main } = request;
  const joint = path.join(project.folder, "tesserae.check.ts");
  const text =
    `import type { Main } from "@tesserae/config/config";\n` +
    `import type { config } from "./${configName}";\n` +
    `import { main } from ${JSON.stringify(main ?? "")};\n` +
    `export const check: Main<typeof config> = main;\n`;
  const read = readOptions(request, witness);
  if ("problem" in read) return [read.problem];
  const isJoint = (name: string): boolean => path.resolve(name) === joint;
  const readFile = (name: string): string | undefined => (isJoint(name) ? text : witness.readFile(name));
  // How the compiler sees a file depends on the options.
  const parsed = request.parsed?.under(JSON.stringify(read.options));
  const host: CompilerHost = {
    ...ts.createCompilerHost(read.options, true),
    fileExists: (name) => isJoint(name) || witness.fileExists(name),
    readFile,
    directoryExists: (name) => witness.directoryExists(name),
    getDirectories: (name) => witness.getDirectories(name),
    realpath: (name) => (isJoint(name) ? name : witness.realpath(name)),
    getSourceFile: (name, language) => {
      const content = readFile(name);
      if (content === undefined) return undefined;
      const before = parsed?.get(name);
      if (before?.text === content) return before.source;
      const source = ts.createSourceFile(name, content, language, true);
      parsed?.set(name, { text: content, source });
      return source;
    },
    getCurrentDirectory: () => project.folder,
  };
  const roots = [project.configFile];
  if (main !== undefined) roots.push(path.resolve(project.folder, main), joint);
  if (request.scenario !== undefined) roots.push(path.resolve(project.folder, request.scenario));
  const program = ts.createProgram(roots, read.options, host);
  const found: Diagnostic[] = [];
  for (const source of program.getSourceFiles()) {
    const file = path.resolve(source.fileName);
    if (source.isDeclarationFile || !isOwn(file, project.folder)) continue;
    const problems = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)];
    for (const problem of problems) {
      const said =
        file === joint ? aboutMain(problem, program, request, main ?? "") : inWords(problem, source, request);
      if (said !== undefined) found.push(said);
    }
  }
  return withoutRepeats(found);
}

function isOwn(file: string, folder: string): boolean {
  return file.startsWith(`${folder}${path.sep}`) && !file.includes(`${path.sep}node_modules${path.sep}`);
}

function readOptions(
  request: CheckRequest,
  witness: Witness,
): { readonly options: CompilerOptions } | { readonly problem: Diagnostic } {
  const { project, packages } = request;
  const file = path.join(project.folder, "tsconfig.json");
  let given: CompilerOptions = strict;
  if (witness.fileExists(file)) {
    const host: ParseConfigHost = {
      fileExists: (name) => witness.fileExists(name),
      readFile: (name) => witness.readFile(name),
      // What is checked is given by name.
      readDirectory: () => [],
      useCaseSensitiveFileNames: ts.sys.useCaseSensitiveFileNames,
    };
    const json = ts.readConfigFile(file, (name) => host.readFile(name));
    if (json.error !== undefined) return { problem: plain(json.error) };
    // as: readConfigFile gives what it read as any; the parser checks it.
    const parsed = ts.parseJsonConfigFileContent(json.config as unknown, host, project.folder);
    // 18003: no input files.
    const problem = parsed.errors.find((each) => each.code !== 18003);
    if (problem !== undefined) return { problem: plain(problem) };
    given = parsed.options;
  }
  const config = packages.find("@tesserae/config", project.folder);
  const sources = config !== undefined && !config.folder.includes(`${path.sep}node_modules${path.sep}`);
  const node = request.target.nodeModules && packages.find("@types/node", project.folder) !== undefined;
  const { paths, ...kept } = given;
  return {
    options: {
      ...kept,
      paths: { ...fallbackPaths(request), ...paths },
      ...(node && given === strict ? { types: ["node"] } : {}),
      module: ts.ModuleKind.ESNext,
      moduleResolution: ts.ModuleResolutionKind.Bundler,
      customConditions: sources ? ["tesserae-source"] : [],
      allowImportingTsExtensions: true,
      rewriteRelativeImportExtensions: false,
      noEmit: true,
      composite: false,
      incremental: false,
      declaration: false,
      skipLibCheck: true,
    },
  };
}

/** Lets the compiler find our packages beside the tool when the application's folders do not have them. */
function fallbackPaths(request: CheckRequest): Record<string, string[]> {
  const config = request.packages.find("@tesserae/config", request.project.folder);
  const near = config?.folder.startsWith(path.dirname(request.project.folder)) === true;
  return near ? {} : { "@tesserae/*": toolModules().map((each) => path.join(each, "@tesserae/*")) };
}

function plain(problem: Problem): Diagnostic {
  const message = ts.flattenDiagnosticMessageText(problem.messageText, "\n  ");
  const { file, start } = problem;
  if (file === undefined || start === undefined) return { message };
  const { line, character } = ts.getLineAndCharacterOfPosition(file, start);
  return { location: { file: relative(file.fileName), line: line + 1, column: character + 1 }, message };
}

const nodeNames = new RegExp(
  `^(node:.*|Buffer|require|global|__dirname|__filename|setImmediate|${builtinModules.join("|")})$`,
);

/** The compiler's words, replaced by ours where the mistake is about the configuration. */
function inWords(problem: Problem, source: SourceFile, request: CheckRequest): Diagnostic | undefined {
  const said = plain(problem);
  const node = problem.start === undefined ? undefined : tokenAt(source, problem.start);
  // Names of Node.js that the compiler does not know, as this target has none of them.
  const platform = /^Cannot find (?:name|module) '([^']+)'/.exec(said.message)?.[1] ?? "";
  if (!request.target.nodeModules && nodeNames.test(platform)) {
    // Imports are reported after bundling, with the chain that leads to them.
    if (node !== undefined && ts.isStringLiteralLike(node)) return undefined;
    return {
      ...said,
      message: `"${platform}" exists only on Node.js, and this code has to run on target ${request.target.name}`,
      fix: `${insteadOf(platform)}, or build with --target node`,
    };
  }
  const mistake = /Mistake<"((?:[^"\\]|\\.)+)">/.exec(said.message)?.[1];
  if (mistake !== undefined && /not assignable/.test(said.message)) {
    const [message = "", fix] = mistake.split(": ");
    return { ...said, message, ...(fix === undefined ? {} : { fix }) };
  }
  const property = /^Property '([^']+)' does not exist on type/.exec(said.message)?.[1];
  if (property === undefined) return said;
  const whole =
    said.message.includes("readonly signal: AbortSignal") || /on type '(Readonly<)?Devices</.test(said.message);
  if (whole) {
    const names = request.devices.length === 0 ? "none" : request.devices.join(", ");
    return {
      ...said,
      message: `main uses "${property}", which ${configName} does not declare${didYouMean(property, request.devices)}`,
      fix: `declared devices: ${names}; keys and signal always come with them.\nAdd "${property}" to devices in ${configName}, as in ${property}: device.stack()`,
    };
  }
  const of = node === undefined ? undefined : ownerOfProperty(node);
  if ((of === "device" || of === "key") && path.resolve(source.fileName) === request.project.configFile) {
    const builders = Object.keys(of === "device" ? device : key);
    const message = `there is no builder ${of}.${property}${didYouMean(property, builders)}`;
    return { ...said, message, fix: `builders of ${of}: ${builders.join(", ")}` };
  }
  if (of !== "keys") return said;
  const names = request.keys.length === 0 ? "none" : request.keys.join(", ");
  return {
    ...said,
    message: `there is no key "${property}"${didYouMean(property, request.keys)}`,
    fix: `declared keys: ${names}.\nAdd "${property}" to keys in ${configName}, as in ${property}: key.string({ doc: "…" })`,
  };
}

function tokenAt(source: SourceFile, position: number): Node | undefined {
  const visit = (node: Node): Node | undefined =>
    ts.forEachChild(node, (child) =>
      position >= child.getStart(source) && position < child.getEnd() ? (visit(child) ?? child) : undefined,
    );
  return visit(source);
}

/** `keys` for the `x` of `keys.x`, `devices.keys.x` and `{ keys: { x } }`. */
function ownerOfProperty(node: Node): string | undefined {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent)) return /(\w+)$/.exec(parent.expression.getText())?.[1];
  if (!ts.isBindingElement(parent)) return undefined;
  const around = parent.parent.parent;
  if (ts.isBindingElement(around)) return (around.propertyName ?? around.name).getText();
  if (ts.isVariableDeclaration(around)) return /(\w+)$/.exec(around.initializer?.getText() ?? "")?.[1];
  return undefined;
}

/** A problem of the file that joins main to the configuration, moved to where the developer can mend it. */
function aboutMain(problem: Problem, program: Program, request: CheckRequest, main: string): Diagnostic | undefined {
  const file = path.resolve(request.project.folder, main);
  const source = program.getSourceFile(file);
  const start = { file: relative(file), line: 1, column: 1 };
  const fix = `write: export async function main(devices: Devices<typeof config>): Promise<void> { … }`;
  // 2306: not a module; 2305, 2459, 2614, 2724: exports no main.
  if ([2305, 2306, 2459, 2614, 2724].includes(problem.code)) {
    return { location: start, message: `"${main}" exports no function "main"`, fix };
  }
  if (problem.code !== 2322 || source === undefined) return undefined;
  const at = source.statements.find(
    (each) => ts.isFunctionDeclaration(each) && each.name?.text === "main" && each.modifiers !== undefined,
  );
  const { line, character } = source.getLineAndCharacterOfPosition(at?.getStart(source) ?? 0);
  const location = { file: relative(file), line: line + 1, column: character + 1 };
  const detail = ts.flattenDiagnosticMessageText(problem.messageText, "\n").split("\n").slice(1).join("\n");
  return {
    location,
    message: `main does not take what ${configName} gives it`,
    fix: `${detail.trim()}\n${fix}`.trim(),
  };
}

function withoutRepeats(found: readonly Diagnostic[]): readonly Diagnostic[] {
  const seen = new Set<string>();
  return found.filter((each) => {
    const id = JSON.stringify(each);
    return !seen.has(id) && seen.add(id);
  });
}
