import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import type { DroppedPart } from "./drop.ts";
import { ElfFile } from "./elf-file.ts";
import { icuLanguages, type IcuChoice, type TrimmedIcu } from "./icu.ts";
import { KeptFiles } from "./kept-files.ts";
import { findNode, userCache, type NodeRequest } from "./node-runtime.ts";
import { prepareNode, type PreparedNode } from "./prepare-node.ts";

/** Node.js made ready for an image, and what it was before. */
export interface ReadyNode extends PreparedNode {
  readonly version: string;
  /** Of the program as others built it: in bytes, and in hex. */
  readonly size: number;
  readonly sha256: string;
}

/** What is kept with a program. */
interface Description {
  readonly size: number;
  readonly icu: TrimmedIcu;
  readonly dropped: readonly DroppedPart[];
}

/** Prepared programs kept at most, of about 110 MB each. */
const mostKept = 4;
/** The modules that make of a program what is kept: when one changes, so does every name. */
const makers: readonly string[] = [
  "prepare-node",
  "strip",
  "elf-file",
  "icu",
  "icu-locale-index",
  "drop",
  "node-cache",
];

/**
 * The Node.js that a request means, made ready for an image. What was made ready before is taken from the user's cache,
 * by the hashes of the program, the choice of languages and the code that prepares; it is the same bytes.
 *
 * @throws ImageFailure (rejects) as `findNode` and `prepareNode`.
 */
export async function readyNode(request: NodeRequest, choice: IcuChoice): Promise<ReadyNode> {
  const source = findNode(request);
  const { version, sha256 } = source;
  const kept = new KeptFiles(path.join(request.cache ?? userCache(), "prepared"), mostKept);
  const languages = choice === "full" ? choice : icuLanguages(choice);
  const key = createHash("sha256").update(JSON.stringify([sha256, languages, makersHash()]));
  const name = `node-${version}-${key.digest("hex")}`;
  const found = kept.get(name);
  if (found !== undefined) {
    const end = 4 + found.readUInt32LE(0);
    // as: it is what was put there below, as its hash says.
    const description = JSON.parse(found.toString("utf8", 4, end)) as Description;
    const program = found.subarray(end);
    return { ...description, version, sha256, program, elf: new ElfFile(program) };
  }
  const bytes = await source.read();
  const size = bytes.length;
  const prepared = prepareNode({ version, bytes, sha256 }, choice);
  const description: Description = { size, icu: prepared.icu, dropped: prepared.dropped };
  const text = Buffer.from(JSON.stringify(description));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(text.length);
  kept.put(name, [length, text, prepared.program]);
  return { ...prepared, version, size, sha256 };
}

/** The hash of the modules that prepare; where they have been bundled with others, of all that lies there. */
function makersHash(): string {
  const hash = createHash("sha256");
  const { dir, name: own, ext } = path.parse(import.meta.filename);
  const bundled = (): readonly string[] => readdirSync(dir).filter((file) => /\.[cm]?js$/.test(file));
  const files = makers.includes(own) ? makers.map((name) => `${name}${ext}`) : [...bundled()].sort();
  for (const file of files) hash.update(readFileSync(path.join(dir, file)));
  return hash.digest("hex");
}
