import { readFileSync } from "node:fs";
import { builtinModules } from "node:module";
import type { Diagnostic } from "@tesserae/config/diagnostic";
import type { Metafile } from "esbuild";
import { ts } from "./compiler.ts";

export interface PortableRequest {
  readonly metafile: Metafile;
  readonly entry: string;
  /** The absolute path of an input, or `undefined` for generated ones. */
  fileOf(input: string): string | undefined;
  /** How an input is to be shown. */
  shown(input: string): string;
  /** Whether an input is of a target, and may use the platform. */
  trusted(input: string): boolean;
  /** Whether an input is of a foreign package: there, only code that is in the image counts. */
  foreign(input: string): boolean;
  readonly target: string;
}

/** What to use instead of a module of Node.js. */
const instead: readonly (readonly [pattern: RegExp, advice: string])[] = [
  [/^fs(\/|$)/, "take device.files(…), device.kv() or device.block() from main's argument"],
  [/^(net|dgram)$/, "take device.stack() from main's argument"],
  [/^(http|http2|https)$/, "use @tesserae/http/server and @tesserae/http/client over device.stack()"],
  [/^dns(\/|$)/, "take device.resolver() from main's argument"],
  [/^(timers|perf_hooks)(\/|$)/, "take device.timers() from main's argument, and @tesserae/time/sleep"],
  [/^crypto$/, "take device.random() and device.crypto() from main's argument"],
  [/^(process|readline|console|tty)(\/|$)/, "take device.console() and keys from main's argument"],
  [/^(buffer|string_decoder|util)(\/|$)/, "use Uint8Array, TextEncoder and TextDecoder"],
  [/^stream(\/|$)/, "use ReadableStream, WritableStream and TransformStream"],
];

/** What portable code uses instead of `name`, a module or a global of Node.js. */
export function insteadOf(name: string): string {
  const module = name.replace(/^node:/, "").replace(/^Buffer$/, "buffer");
  return instead.find(([pattern]) => pattern.test(module))?.[1] ?? "leave it out";
}

/**
 * Finds what exists only on Node.js and is imported by portable code: the application, the libraries, and the packages
 * that these import. What the targets' own packages import is theirs.
 */
export function checkPortable(request: PortableRequest): readonly Diagnostic[] {
  const { metafile, entry, target } = request;
  const used = new Set(
    Object.values(metafile.outputs).flatMap((output) =>
      Object.entries(output.inputs).flatMap(([input, { bytesInOutput }]) => (bytesInOutput > 0 ? [input] : [])),
    ),
  );
  const found: Diagnostic[] = [];
  const from = new Map<string, string | undefined>([[entry, undefined]]);
  for (const input of from.keys()) {
    for (const each of metafile.inputs[input]?.imports ?? []) {
      if (each.external !== true) {
        if (!from.has(each.path) && !request.trusted(each.path)) from.set(each.path, input);
        continue;
      }
      const name = each.path.replace(/^node:/, "");
      // The entry is the tool's: it asks for node:url where a target with folders was chosen.
      if (input === entry || !(each.path.startsWith("node:") || builtinModules.includes(name))) continue;
      if (request.foreign(input) && !used.has(input)) continue;
      const chain = [each.path];
      for (let at: string | undefined = input; at !== undefined && at !== entry; at = from.get(at)) {
        chain.unshift(request.shown(at));
      }
      const remedy = request.foreign(input)
        ? `this package needs Node.js: take one that does not, or build with --target node`
        : `${insteadOf(name)}, or build with --target node`;
      const place = placeOf(request, input, each.original ?? each.path);
      found.push({
        ...(place === undefined ? {} : { location: place }),
        message: `"${each.path}" exists only on Node.js, and this code has to run on target ${target}`,
        fix: `imported by ${chain.join(" → ")}\n${remedy}`,
      });
    }
  }
  return found;
}

function placeOf(request: PortableRequest, input: string, specifier: string): Diagnostic["location"] {
  const file = request.fileOf(input);
  if (file === undefined) return undefined;
  const text = readFileSync(file, "utf8");
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.ES2022);
  const imports = ts.preProcessFile(text, true, true).importedFiles;
  const at = imports.find((each) => each.fileName === specifier || each.fileName === specifier.replace(/^node:/, ""));
  const { line, character } = source.getLineAndCharacterOfPosition(at === undefined ? 0 : at.pos + 1);
  return { file: request.shown(input), line: line + 1, column: character + 1 };
}
