import { existsSync, readdirSync, readFileSync, readlinkSync, realpathSync, statSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { ElfFile } from "./elf-file.ts";
import { ImageFailure, ofFile } from "./image-failure.ts";

/** One library that a program is loaded with. */
export interface SharedLibrary {
  /** As programs ask for it: `libm.so.6`; the dynamic loader by its whole path. */
  readonly name: string;
  /** Where it was found. */
  readonly file: string;
  /** Whether it is the dynamic loader. */
  readonly loader: boolean;
  readonly bytes: Buffer;
}

const machineX64 = 62;
const sharedObject = 3;
/** Libraries of one program at most. */
const mostLibraries = 200;

/** Where dynamic loaders look when nothing is configured: Debian's folders, then everybody's. */
const usualFolders = [
  ...["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib"],
];

/** Which Debian package has which library. */
const packages: Readonly<Record<string, string>> = {
  "libstdc++.so.6": "libstdc++6",
  "libgcc_s.so.1": "libgcc-s1",
  "libatomic.so.1": "libatomic1",
};

/**
 * Finds every library that a program needs, directly or through others, and its dynamic loader, in a file system with a
 * Linux for x86-64.
 *
 * @param root the folder that stands for "/". Default: "/" itself, on such a machine.
 * @param programName what errors call the program
 * @throws ImageFailure when one is missing, is for another machine, or is too old for who needs it.
 */
export function sharedLibraries(program: ElfFile, root?: string, programName = "Node.js"): readonly SharedLibrary[] {
  if (root === undefined && (process.platform !== "linux" || process.arch !== "x64")) {
    throw new ImageFailure(
      "the libraries of Node.js come from a Linux for x86-64, and this machine has none",
      "give --sysroot DIR: an unpacked debian:12 image (docker export, or debootstrap)",
    );
  }
  const system = new Sysroot(root ?? "/");
  const interpreter = program.interpreter;
  if (interpreter === undefined) return [];
  const found = new Map<string, { readonly library: SharedLibrary; readonly elf: ElfFile }>();
  const add = (name: string, file: string, loader: boolean): void => {
    const bytes = readFileSync(file);
    const elf = checkLibrary(file, bytes);
    found.set(loader ? path.posix.basename(name) : name, { library: { name, file, loader, bytes }, elf });
  };
  add(interpreter, system.loader(interpreter), true);
  const queue: { readonly elf: ElfFile; readonly name: string }[] = [{ elf: program, name: programName }];
  const done = new Set<ElfFile>();
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    if (done.has(next.elf)) continue;
    done.add(next.elf);
    const { elf } = next;
    for (const name of ofFile(next.name, () => elf.needed())) {
      if (!found.has(name))
        add(
          name,
          system.library(
            name,
            ofFile(next.name, () => elf.runPath()),
            next.name,
          ),
          false,
        );
      if (found.size > mostLibraries)
        throw new ImageFailure(`${programName} needs more than ${String(mostLibraries)} libraries`);
      const reached = found.get(name);
      if (reached !== undefined) queue.push({ elf: reached.elf, name });
    }
  }
  checkVersions([{ elf: program, name: programName }, ...[...found].map(([name, { elf }]) => ({ elf, name }))], found);
  return [...found.values()].map(({ library }) => library).sort((a, b) => (a.name < b.name ? -1 : 1));
}

/**
 * The folder, as the dynamic loader `bytes` has it built in, in which it looks for libraries first: libraries put there
 * are found without any configuration.
 */
export function libraryFolder(bytes: Buffer): string {
  const folders = ["/lib/x86_64-linux-gnu/", "/lib64/", "/usr/lib64/", "/usr/lib/", "/lib/"];
  const built = folders.find((folder) => bytes.includes(`\0${folder}\0`) || bytes.includes(`\0${folder}`));
  return (built ?? "/lib/x86_64-linux-gnu/").slice(0, -1);
}

function checkLibrary(file: string, bytes: Buffer): ElfFile {
  const elf = ofFile(file, () => new ElfFile(bytes));
  if (elf.machine !== machineX64 || elf.type !== sharedObject) {
    throw new ImageFailure(`${file} is no library for x86-64`);
  }
  return elf;
}

/** Every version that one file wants of another must be there: else the loader gives up when the image starts. */
function checkVersions(
  files: readonly { readonly elf: ElfFile; readonly name: string }[],
  found: ReadonlyMap<string, { readonly library: SharedLibrary; readonly elf: ElfFile }>,
): void {
  const offered = new Map<string, ReadonlySet<string>>();
  for (const { elf, name } of files) {
    for (const { library, version } of ofFile(name, () => elf.neededVersions())) {
      const provider = found.get(library);
      if (provider === undefined) continue;
      let versions = offered.get(library);
      if (versions === undefined) {
        versions = new Set(ofFile(provider.library.file, () => provider.elf.definedVersions()));
        offered.set(library, versions);
      }
      if (versions.has(version)) continue;
      throw new ImageFailure(
        `${provider.library.file} is too old: ${name} needs ${version} of it`,
        "give --sysroot DIR with a newer Linux (debian:12 will do)",
      );
    }
  }
}

/** A file system below a folder. Symbolic links are followed inside it. */
class Sysroot {
  readonly #root: string;
  readonly #folders: readonly string[];

  constructor(root: string) {
    if (statSync(root, { throwIfNoEntry: false })?.isDirectory() !== true) {
      throw new ImageFailure(`there is no folder "${root}" with a Linux in it`);
    }
    this.#root = realpathSync(root);
    this.#folders = [...new Set([...this.#configured("/etc/ld.so.conf", 0), ...usualFolders])];
  }

  loader(interpreter: string): string {
    const file = this.#resolve(interpreter);
    if (file !== undefined) return file;
    throw new ImageFailure(
      `the dynamic loader ${interpreter} is not in ${this.#root}: Node.js needs a Linux with glibc`,
      "run: apt-get install libc6, or give --sysroot DIR",
    );
  }

  library(name: string, runPath: readonly string[], wanted: string): string {
    if (name.includes("/")) throw new ImageFailure(`${wanted} needs "${name}": a library with a path cannot be packed`);
    const fixed = runPath.filter((folder) => folder.startsWith("/"));
    for (const folder of [...fixed, ...this.#folders]) {
      const file = this.#resolve(path.posix.join(folder, name));
      if (file !== undefined && isForX64(file)) return file;
    }
    const fix = packages[name] ?? (/^lib(c|m|dl|pthread|rt|util|resolv)\.so\./.test(name) ? "libc6" : undefined);
    throw new ImageFailure(
      `${wanted} needs the library ${name}, which is not in ${this.#root}`,
      fix === undefined ? "install the package that has it, or give --sysroot DIR" : `run: apt-get install ${fix}`,
    );
  }

  /** The folders that /etc/ld.so.conf lists. */
  #configured(file: string, depth: number): readonly string[] {
    const resolved = this.#resolve(file);
    if (resolved === undefined || depth > 8) return [];
    return readFileSync(resolved, "utf8")
      .split("\n")
      .map((line) => line.replace(/#.*/, "").trim())
      .flatMap((line) => {
        const include = /^include\s+(\S+)$/.exec(line)?.[1];
        if (include === undefined) return line.startsWith("/") ? [line] : [];
        return this.#matching(path.posix.resolve(path.posix.dirname(file), include)).flatMap((each) =>
          this.#configured(each, depth + 1),
        );
      });
  }

  /** Paths that a pattern with stars in its last part stands for. */
  #matching(pattern: string): readonly string[] {
    const folder = path.posix.dirname(pattern);
    const name = path.posix.basename(pattern).split("*").map(escapePattern).join(".*");
    const resolved = this.#resolve(folder);
    if (resolved === undefined || !statSync(resolved).isDirectory()) return [];
    const matches = readdirSync(resolved).filter((each) => new RegExp(`^${name}$`).test(each));
    return matches.sort().map((each) => path.posix.join(folder, each));
  }

  /** The real path of an absolute path inside; `undefined` when nothing is there. */
  #resolve(inside: string): string | undefined {
    let parts = inside.split("/").filter((part) => part !== "");
    const walked: string[] = [];
    for (let links = 0; parts.length > 0;) {
      const [part = "", ...rest] = parts;
      parts = rest;
      if (part === ".") continue;
      if (part === "..") {
        walked.pop();
        continue;
      }
      const at = path.join(this.#root, ...walked, part);
      const target = linkTarget(at);
      if (target === undefined) {
        walked.push(part);
        continue;
      }
      if (++links > 40) return undefined;
      if (target.startsWith("/")) walked.length = 0;
      parts = [...target.split("/").filter((each) => each !== ""), ...parts];
    }
    const file = path.join(this.#root, ...walked);
    return existsSync(file) ? file : undefined;
  }
}

function linkTarget(file: string): string | undefined {
  try {
    return readlinkSync(file);
  } catch {
    // No link, or nothing at all: the caller finds out.
    return undefined;
  }
}

function isForX64(file: string): boolean {
  if (!statSync(file).isFile()) return false;
  try {
    const elf = new ElfFile(readFileSync(file));
    return elf.machine === machineX64 && elf.type === sharedObject;
  } catch {
    // A linker script, or a library for 32 bits: loaders go on to the next folder too.
    return false;
  }
}

function escapePattern(text: string): string {
  return text.replace(/[.+?^${}()|[\]\\]/g, "\\$&");
}
