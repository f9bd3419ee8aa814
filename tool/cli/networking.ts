import { readFileSync } from "node:fs";
import type { Metafile } from "esbuild";

const networkingModules: ReadonlySet<string> = new Set([
  ...["net", "tls", "http", "https", "http2", "dgram", "dns", "dns/promises"],
]);

/** A call of a global that reaches for the network; what follows a dot or a word is somebody's own. */
const networkingCall = /(?<![\w$.#])(?<!function\s)(?:globalThis\.)?(?:fetch|WebSocket|EventSource)\s*\(/;

/** Node.js's networking in code of an image. */
export interface Networking {
  /** As imported: `node:http`. */
  readonly module: string;
  /** The input that has it, as in the metafile. */
  readonly input: string;
}

/**
 * The first place in an image, its own libraries left out, that uses Node.js's networking: an import of one of those
 * modules, or a call of `fetch` and the like. `undefined` when there is none.
 *
 * @param ours whether an input is of our own packages
 * @param fileOf the file of an input; `undefined` for generated ones
 */
export function findNetworking(
  metafile: Metafile,
  ours: (input: string) => boolean,
  fileOf: (input: string) => string | undefined,
): Networking | undefined {
  const used = Object.values(metafile.outputs).flatMap((output) =>
    Object.entries(output.inputs).flatMap(([input, { bytesInOutput }]) =>
      bytesInOutput > 0 && !ours(input) ? [input] : [],
    ),
  );
  for (const input of used) {
    for (const each of metafile.inputs[input]?.imports ?? []) {
      if (each.external === true && networkingModules.has(each.path.replace(/^node:/, ""))) {
        return { module: each.path, input };
      }
    }
  }
  for (const input of used) {
    const file = fileOf(input);
    if (file !== undefined && networkingCall.test(readFileSync(file, "utf8"))) return { module: "fetch", input };
  }
  return undefined;
}
