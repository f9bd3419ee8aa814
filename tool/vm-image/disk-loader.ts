import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import path from "node:path";
import { inWorkshop, readSources, vmFolder, type CSources } from "./c-sources.ts";
import { findCompiler, type Compiler } from "./compiler.ts";
import { mostKept } from "./kernel.ts";
import { KeptFiles } from "./kept-files.ts";

export interface DiskLoaderRequest {
  /** Default: the folder in `@tesserae/vm`. */
  readonly sources?: string;
  /** As for the kernel. */
  readonly compiler?: string;
  /** A folder in which loaders are kept by the hash of what they were made from. Default: none is kept. */
  readonly cache?: string;
}

/** The two programs that bring a kernel from a disk into memory. */
export interface DiskLoaders {
  /** 512 bytes for the disk's first sector, of which 440 count; then what they load. */
  readonly bios: Uint8Array;
  /** A PE32+ file. */
  readonly uefi: Uint8Array;
}

const flags = [
  ...["-std=gnu11", "-Os", "-Wall", "-Wextra", "-Werror", "-ffreestanding", "-fno-stack-protector"],
  ...["-mgeneral-regs-only", "-fno-asynchronous-unwind-tables", "-fno-strict-aliasing", "-fcf-protection=none"],
  ...["-fno-jump-tables", "-fno-builtin", "-g0"],
];
const linkFlags = ["-nostdlib", "-static", "-no-pie", "-Wl,--oformat=binary,--build-id=none,-z,noexecstack"];

const kinds = {
  bios: {
    units: ["bios.S", "bios.c", "fat.c", "handover.c"],
    flags: ["-m32", "-march=i686", "-fno-pic", "-fno-pie"],
    link: ["-m32", "-Wl,-T,bios.ld"],
  },
  uefi: {
    units: ["uefi.S", "uefi.c", "handover.c"],
    flags: ["-fpie", "-fvisibility=hidden", "-mno-red-zone", "-fshort-wchar"],
    link: ["-Wl,-T,uefi.ld"],
  },
} as const;

/** Compiles the loaders for BIOS and UEFI machines. @throws ImageFailure with the compiler's words when it refuses. */
export async function buildDiskLoaders(request: DiskLoaderRequest = {}): Promise<DiskLoaders> {
  const compiler = await findCompiler(request.compiler);
  const sources = readSources(request.sources ?? vmFolder("loader"), "bios.ld");
  const [bios, uefi] = await Promise.all([
    buildLoader("bios", sources, compiler, request.cache),
    buildLoader("uefi", sources, compiler, request.cache),
  ]);
  return { bios, uefi };
}

async function buildLoader(
  name: keyof typeof kinds,
  sources: CSources,
  compiler: Compiler,
  cache: string | undefined,
): Promise<Uint8Array> {
  const kind = kinds[name];
  const key = createHash("sha256").update(JSON.stringify([sources.hash, compiler, flags, linkFlags, kind]));
  const file = `loader-${key.digest("hex")}.${name}`;
  const kept = cache === undefined ? undefined : new KeptFiles(cache, mostKept);
  const found = kept?.get(file);
  if (found !== undefined) return found;
  const bytes = await inWorkshop(sources, compiler, async (workshop) => {
    const silent = compiler.family === "clang" ? ["-Wno-unused-command-line-argument"] : [];
    for (const unit of kind.units) {
      await workshop.compile([...flags, ...silent, ...kind.flags, "-c", "-o", `${unit}.o`, unit]);
    }
    const objects = kind.units.map((unit) => `${unit}.o`);
    await workshop.compile([...linkFlags, ...silent, ...kind.link, "-o", "loader.bin", ...objects]);
    return readFileSync(path.join(workshop.folder, "loader.bin"));
  });
  kept?.put(file, [bytes]);
  return bytes;
}
