import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { bytesContent, eachChunk, fileContent, type FileContent } from "./content.ts";
import { buildDiskLoaders } from "./disk-loader.ts";
import { writeDiskImage } from "./formats/disk-image.ts";
import { writeFirecracker } from "./formats/firecracker.ts";
import type { Format, FormatInput } from "./formats/format.ts";
import { writeLibvirt } from "./formats/libvirt.ts";
import { writeOci } from "./formats/oci.ts";
import { writeSingleElf } from "./formats/single-elf.ts";
import { writeXl } from "./formats/xl-config.ts";
import type { IcuChoice, TrimmedIcu } from "./icu.ts";
import { ImageFailure, ofFile } from "./image-failure.ts";
import { layOut, roundUp, type ImageEntry, type ImageLayout } from "./image-layout.ts";
import { buildKernel, type BuiltKernel } from "./kernel.ts";
import { manifestText, type ImageManifest, type ManifestFile } from "./manifest.ts";
import { readyNode } from "./node-cache.ts";
import { replaceFile, replaceFileBy } from "./replace-file.ts";
import { libraryFolder, sharedLibraries } from "./shared-libraries.ts";
import type { PartSize } from "./sizes.ts";
import { strip } from "./strip.ts";

/** What to build an image of, and how. */
export interface ImageRequest {
  /**
   * The application: a module, which becomes `/app/main.mjs`; or a folder with a `main.mjs`, which becomes `/app`.
   */
  readonly bundle: string;
  /** More files: a path in the image by an absolute path here. */
  readonly files?: Readonly<Record<string, string>>;
  /** The command that the image runs: the program's path, then arguments. Default: {@link defaultArgv}. */
  readonly argv?: readonly string[];
  /** `NAME=value` each. Default: {@link defaultEnvironment}. */
  readonly environment?: readonly string[];
  /** The folder for what is written; made when it is not there. */
  readonly output: string;
  /** A name for forms that want one. Default: `tesserae`. */
  readonly name?: string;
  /** A version of Node.js, or the path of a program. Default: the one that this package pins. */
  readonly node?: string;
  /** The folder that stands for "/" when libraries are looked for. Default: this machine's. */
  readonly sysroot?: string;
  /** Default: `en`. */
  readonly icu?: IcuChoice;
  /** The C compiler. Default: found. */
  readonly compiler?: string;
  /** Default: the sources in `@tesserae/vm`. */
  readonly kernelSources?: string;
  /** The folder in which compiled kernels are kept. Default: none is kept. */
  readonly cache?: string;
  /** The folder in which versions of Node.js are kept, as fetched and as made ready. Default: the user's. */
  readonly userCache?: string;
  /** Words for the command line of those formats that carry one. */
  readonly commandLine?: string;
  /** In MiB, for formats that say how much RAM. Default: 256. */
  readonly memory?: number;
  /** Network interfaces and disks that the application wants. Default: 1 and 0. */
  readonly interfaces?: number;
  readonly disks?: number;
  /** Default: `direct`, which is written in any case. */
  readonly formats?: readonly Format[];
  readonly onProgress?: (text: string) => void;
}

/** What was built. Paths are absolute, sizes in bytes. */
export interface ImageReport {
  readonly kernel: BuiltKernel;
  readonly image: { readonly file: string; readonly size: number; readonly sha256: string };
  readonly manifest: string;
  readonly node: string;
  readonly icu: TrimmedIcu;
  readonly sizes: readonly PartSize[];
  /** The main file of each format. */
  readonly formats: Readonly<Partial<Record<Format, string>>>;
}

/**
 * What an image runs: heap limits come from the memory that is free when the machine starts; with one processor V8's
 * own threads only cost.
 */
export const defaultArgv: readonly string[] = [
  ...["/usr/bin/node", "--max-old-space-size=@heap@", "--max-semi-space-size=@semi@", "--v8-pool-size=0"],
  "/app/main.mjs",
];

/** With one processor, heaps of C for each thread cost memory and save no time. */
export const defaultEnvironment: readonly string[] = ["PATH=/usr/bin", "HOME=/tmp", "MALLOC_ARENA_MAX=1"];

const hosts = "127.0.0.1 localhost\n::1 localhost\n";

/**
 * Builds kernel and image into `output`: `kernel.elf`, `image.bin`, `manifest.json`, and what `formats` ask for. The
 * same inputs give the same bytes.
 *
 * @throws ImageFailure for what the developer can put right.
 */
export async function buildImage(request: ImageRequest): Promise<ImageReport> {
  const progress = request.onProgress ?? (() => undefined);
  const output = path.resolve(request.output);
  mkdirSync(output, { recursive: true });
  const userFolder = request.userCache === undefined ? {} : { cache: request.userCache };
  const [kernel, node] = await Promise.all([
    buildKernel({
      output: path.join(output, "kernel.elf"),
      ...(request.kernelSources === undefined ? {} : { sources: request.kernelSources }),
      ...(request.compiler === undefined ? {} : { compiler: request.compiler }),
      ...(request.cache === undefined ? {} : { cache: request.cache }),
      onProgress: progress,
    }),
    readyNode(
      { ...(request.node === undefined ? {} : { node: request.node }), ...userFolder, onProgress: progress },
      request.icu ?? "en",
    ),
  ]);
  progress("laying out the image");
  const open: FileContent[] = [];
  try {
    const { program, elf, icu, dropped } = node;
    const libraries = sharedLibraries(elf, request.sysroot);
    const application = applicationFiles(request, open);
    const argv = checkWords("argv", request.argv ?? defaultArgv);
    const environment = checkWords("environment", request.environment ?? defaultEnvironment);
    const manifest: ImageManifest = {
      manifest: 1,
      image: { argv, environment },
      tool: toolVersion(),
      kernel: { sources: kernel.sources, sha256: kernel.sha256, compiler: kernel.compiler },
      node: { version: node.version, size: node.size, sha256: node.sha256 },
      icu: { name: icu.name, languages: icu.languages },
      dropped: dropped.map(({ part }) => part),
      libraries: Object.fromEntries(libraries.map(({ name, bytes }) => [name, describe(bytes)])),
      application: Object.fromEntries(application.map(({ path: at, content }) => [at, describeContent(content)])),
    };
    const librarySizes = new Map(libraries.map(({ name, bytes }) => [name, bytes.length]));
    const loader = libraries.find((library) => library.loader);
    const folder = loader === undefined ? "/lib" : libraryFolder(loader.bytes);
    const libraryEntries = libraries.map(({ name, loader: isLoader, bytes, file }) => ({
      kind: "file" as const,
      path: isLoader ? name : `${folder}/${name}`,
      content: bytesContent(ofFile(file, () => strip(bytes))),
      executable: true,
    }));
    const layout = layOut([
      { kind: "file", path: "/usr/bin/node", content: bytesContent(program), executable: true, sparse: true },
      ...libraryEntries,
      ...application,
      text("/boot/argv", argv.map((word) => `${word}\0`).join("")),
      text("/boot/environ", environment.map((word) => `${word}\0`).join("")),
      text("/boot/manifest.json", manifestText(manifest)),
      text("/etc/hosts", hosts),
      { kind: "directory", path: "/tmp" },
    ]);
    progress("writing the image");
    const image = writeImage(layout, path.join(output, "image.bin"));
    const manifestFile = path.join(output, "manifest.json");
    replaceFile(manifestFile, manifestText({ ...manifest, result: { size: image.size, sha256: image.sha256 } }));
    const stored = (file: string): number => roundUp(layout.entries.find((each) => each.path === file)?.stored ?? 0);
    const applicationSize = sumOf(application, ({ content }) => content.size);
    const parts: PartSize[] = [
      { part: "kernel", raw: kernel.size, image: kernel.size },
      { part: `node ${node.version}`, raw: node.size - icu.before, image: stored("/usr/bin/node") - icu.after },
      { part: "language data", raw: icu.before, image: icu.after },
      ...libraryEntries.map(({ path: file }, index) => {
        const name = libraries[index]?.name ?? file;
        return { part: path.posix.basename(file), raw: librarySizes.get(name) ?? 0, image: stored(file) };
      }),
      { part: "application", raw: applicationSize, image: sumOf(application, ({ path: file }) => stored(file)) },
    ];
    const input: FormatInput = {
      name: request.name ?? "tesserae",
      kernel: kernel.file,
      image: image.file,
      output,
      commandLine: request.commandLine ?? "",
      memory: request.memory ?? 256,
      interfaces: request.interfaces ?? 1,
      disks: request.disks ?? 0,
    };
    const written: Partial<Record<Format, string>> = { direct: kernel.file };
    for (const format of new Set(request.formats ?? [])) {
      if (format === "direct") continue;
      progress(`writing the format ${format}`);
      written[format] = await writeFormat(format, input, request);
    }
    const rest = image.size + kernel.size - sumOf(parts, (part) => part.image);
    return {
      kernel,
      image,
      manifest: manifestFile,
      node: node.version,
      icu,
      sizes: [...parts, { part: "everything else", raw: rest, image: rest }],
      formats: written,
    };
  } finally {
    for (const each of open) each.close();
  }
}

async function writeFormat(
  format: Exclude<Format, "direct">,
  input: FormatInput,
  request: ImageRequest,
): Promise<string> {
  switch (format) {
    case "elf":
      return writeSingleElf(input);
    case "firecracker":
      return writeFirecracker(input);
    case "libvirt":
      return writeLibvirt(input);
    case "xl":
      return writeXl(input);
    case "oci":
      return writeOci(input);
    case "disk":
      return writeDiskImage(
        input,
        await buildDiskLoaders({
          ...(request.compiler === undefined ? {} : { compiler: request.compiler }),
          ...(request.cache === undefined ? {} : { cache: request.cache }),
        }),
      );
  }
}

function sumOf<T>(list: readonly T[], size: (each: T) => number): number {
  return list.reduce((sum, each) => sum + size(each), 0);
}

type FileEntry = Extract<ImageEntry, { readonly kind: "file" }>;

function applicationFiles(request: ImageRequest, open: FileContent[]): readonly FileEntry[] {
  const entries: FileEntry[] = [];
  const add = (at: string, file: string): void => {
    const content = fileContent(file);
    open.push(content);
    entries.push({ kind: "file", path: at, content });
  };
  const walk = (folder: string, at: string, depth: number): void => {
    if (depth > 64)
      throw new ImageFailure(`"${request.bundle}" is nested more than 64 folders deep (a link to itself?)`);
    for (const name of readdirSync(folder).sort()) {
      const file = path.join(folder, name);
      if (statSync(file).isDirectory()) walk(file, `${at}/${name}`, depth + 1);
      else add(`${at}/${name}`, file);
    }
  };
  const found = statSync(request.bundle, { throwIfNoEntry: false });
  if (found === undefined) throw new ImageFailure(`there is no application "${request.bundle}"`);
  if (found.isDirectory()) walk(request.bundle, "/app", 0);
  else add("/app/main.mjs", request.bundle);
  for (const [at, file] of Object.entries(request.files ?? {})) add(at, file);
  if (request.argv === undefined && !entries.some(({ path: at }) => at === "/app/main.mjs")) {
    throw new ImageFailure(`"${request.bundle}" has no main.mjs`, "name the module that the image runs");
  }
  return entries;
}

/** Words of a command or an environment: with NUL bytes between them there can be none inside. */
function checkWords(what: string, words: readonly string[]): readonly string[] {
  for (const word of words) {
    if (word.includes("\0")) throw new ImageFailure(`${what}: ${JSON.stringify(word)} has a NUL byte`);
    if (what === "environment" && !/^[^=]+=/.test(word)) {
      throw new ImageFailure(`environment: ${JSON.stringify(word)} is not NAME=value`);
    }
  }
  if (what === "argv" && !(words[0]?.startsWith("/") ?? false)) {
    throw new ImageFailure("argv does not begin with the absolute path of a program");
  }
  return words;
}

function writeImage(layout: ImageLayout, file: string): ImageReport["image"] {
  const hash = createHash("sha256");
  replaceFileBy(file, (put) => {
    layout.write((bytes) => {
      hash.update(bytes);
      put(bytes);
    });
  });
  return { file, size: layout.size, sha256: hash.digest("hex") };
}

function text(at: string, content: string): FileEntry {
  return { kind: "file", path: at, content: bytesContent(Buffer.from(content)) };
}

function describe(bytes: Uint8Array): ManifestFile {
  return { size: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") };
}

function describeContent(content: FileEntry["content"]): ManifestFile {
  const hash = createHash("sha256");
  eachChunk(content, (bytes) => hash.update(bytes));
  return { size: content.size, sha256: hash.digest("hex") };
}

function toolVersion(): string {
  // as: whatever the file holds, only a text is taken from it.
  const { version } = JSON.parse(
    readFileSync(createRequire(import.meta.url).resolve("@tesserae/vm-image/package.json"), "utf8"),
  ) as {
    readonly version?: unknown;
  };
  return typeof version === "string" ? version : "0.0.0";
}
