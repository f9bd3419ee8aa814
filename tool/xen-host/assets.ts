import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { gunzipSync } from "node:zlib";
import { ElfFile } from "@tesserae/vm-image/elf-file";
import { ImageFailure, ofFile } from "@tesserae/vm-image/image-failure";
import { userCache } from "@tesserae/vm-image/node-runtime";
import { sharedLibraries } from "@tesserae/vm-image/shared-libraries";
import { writeCpio, type CpioEntry } from "./cpio.ts";
import { obtainPackages, unpackPackages } from "./debian-packages.ts";
import {
  agentScript,
  guestInitScript,
  hotplugScripts,
  initScript,
  oxenstoredConfig,
  xenPrograms,
} from "./dom0-scripts.ts";
import { modulesInOrder } from "./kernel-modules.ts";
import { unpackKernel } from "./linux-kernel.ts";

/** The files that a Xen host starts from. Absolute paths. */
export interface HostAssets {
  readonly folder: string;
  /** The hypervisor, a 32-bit ELF file that QEMU loads by multiboot. */
  readonly xen: string;
  /** dom0's kernel, unpacked where that is possible. */
  readonly kernel: string;
  /** The same kernel as Debian ships it: 8 MB, for guests. */
  readonly vmlinuz: string;
  /** dom0's first root file system, which is also its last. */
  readonly initramfs: string;
  /** The first root file system of a Linux guest: busybox, and xenstore's tools. */
  readonly guestInitramfs: string;
}

/** Hosts kept at most, of 90 MB each. */
const mostKept = 4;
const abandoned = 3_600_000;

/** What dom0 runs. */
const programs = [
  ...["xl", "xenstored", "oxenstored", "xenconsoled", "xenconsole", "xen-init-dom0", "libxl-save-helper"],
  ...["init-xenstore-domain", "xenstore-control", "lsevtchn", "xen-diag", "test-xenstore"],
];
const storeTools = ["read", "write", "ls", "list", "rm", "chmod", "exists", "watch"];
/** What dom0 drives: Xen's interfaces, back ends for disks and network cards, QEMU's network card and disks. */
const dom0Modules = [
  ...["xen-privcmd", "xen-evtchn", "xen-gntdev", "xen-gntalloc", "xenfs"],
  ...[
    "bridge",
    "loop",
    "virtio-pci",
    "virtio-net",
    "virtio-blk",
    "xen-netback",
    "xen-blkback",
    "xen-netfront",
    "xen-blkfront",
  ],
];
/** What a Linux guest drives. */
const guestModules = ["xen-evtchn", "xen-gntdev", "xen-gntalloc", "xenfs", "xen-netfront", "xen-blkfront"];
const folders = ["dev", "proc", "sys", "tmp", "root", "run", "var/log/xen", "var/lock"];
const libraries = "lib/x86_64-linux-gnu";

/**
 * The files of a Xen host: fetched from Debian and put together the first time, from then on taken from the user's
 * cache.
 *
 * @param cache the folder in which they are kept. Default: `xen-host` in the user's cache.
 * @throws ImageFailure (rejects) naming what is missing.
 */
export async function obtainAssets(
  options: { readonly cache?: string; readonly onProgress?: (text: string) => void } = {},
): Promise<HostAssets> {
  const cache = options.cache ?? path.join(userCache(), "xen-host");
  const found = assetsIn(path.join(cache, `host-${makersHash()}`));
  if (found !== undefined) return found;
  const debs = path.join(cache, "packages");
  mkdirSync(cache, { recursive: true });
  const packages = await obtainPackages(debs, options.onProgress);
  options.onProgress?.("putting the Xen host together");
  const root = mkdtempSync(path.join(tmpdir(), "tesserae-xen-root-"));
  const fresh = mkdtempSync(path.join(cache, "host-"));
  try {
    await unpackPackages(debs, packages, root);
    writeAssets(root, fresh);
    removeOld(cache);
    const folder = path.join(cache, `host-${makersHash()}`);
    try {
      renameSync(fresh, folder);
    } catch {
      // Another process was as fast; it made the same.
    }
    const made = assetsIn(folder);
    if (made === undefined) throw new ImageFailure(`the Xen host cannot be kept in ${folder}`);
    return made;
  } finally {
    rmSync(root, { recursive: true, force: true });
    rmSync(fresh, { recursive: true, force: true });
  }
}

function assetsIn(folder: string): HostAssets | undefined {
  const at = (name: string): string => path.join(folder, name);
  const kernels = { xen: at("xen"), kernel: at("vmlinux"), vmlinuz: at("vmlinuz") };
  const assets = { folder, ...kernels, initramfs: at("dom0.cpio"), guestInitramfs: at("guest.cpio") };
  if (!Object.values(assets).every((file) => existsSync(file))) return undefined;
  const now = new Date();
  utimesSync(folder, now, now);
  return assets;
}

/** Removes those of other versions of this code that have not been used for longest. */
function removeOld(cache: string): void {
  const hosts = readdirSync(cache).filter((name) => /^host-[0-9a-f]{16}$/.test(name));
  const used = hosts.map((name) => ({ name, used: statSync(path.join(cache, name)).mtimeMs }));
  used.sort((a, b) => b.used - a.used);
  for (const { name } of used.slice(mostKept - 1)) rmSync(path.join(cache, name), { recursive: true, force: true });
  for (const name of readdirSync(cache).filter((each) => /^host-.{6}$/.test(each))) {
    const at = path.join(cache, name);
    // What was being made when its process was killed. It may just have been finished.
    const made = statSync(at, { throwIfNoEntry: false })?.mtimeMs ?? Date.now();
    if (Date.now() - made > abandoned) rmSync(at, { recursive: true, force: true });
  }
}

function writeAssets(root: string, folder: string): void {
  const boot = path.join(root, "boot");
  const xen = only(boot, /^xen-[\d.]+-amd64\.gz$/);
  const vmlinuz = only(boot, /^vmlinuz-/);
  const modules = path.join(root, "lib/modules", path.basename(vmlinuz).replace("vmlinuz-", ""));
  writeFileSync(path.join(folder, "xen"), gunzipSync(readFileSync(xen)));
  const kernel = readFileSync(vmlinuz);
  writeFileSync(path.join(folder, "vmlinuz"), kernel);
  writeFileSync(path.join(folder, "vmlinux"), unpackKernel(kernel) ?? kernel);
  const write = (name: string, entries: readonly CpioEntry[]): void =>
    writeFileSync(path.join(folder, name), Buffer.concat([...writeCpio(entries)]));
  write("dom0.cpio", dom0Entries(root, modules));
  write("guest.cpio", guestEntries(root, modules));
}

/** Everything in dom0's root file system. */
function dom0Entries(root: string, modules: string): readonly CpioEntry[] {
  const system = new LinuxFiles(root);
  for (const name of programs) system.addProgram(`${xenPrograms.slice(1)}/${name}`, path.join(root, xenPrograms, name));
  system.addModules(modules, dom0Modules);
  system.add("init", initScript);
  system.add("sbin/agent", agentScript);
  for (const [name, script] of Object.entries(hotplugScripts)) system.add(`etc/xen/scripts/${name}`, script);
  system.add("etc/xen/xl.conf", 'autoballoon="off"\n');
  system.add("etc/xen/oxenstored.conf", oxenstoredConfig);
  return system.entries([...folders, "run/xen", "run/xenstored", "var/lib/xen", "var/lib/xenstored", "etc/xen"]);
}

/** Everything in the root file system of a Linux guest. */
function guestEntries(root: string, modules: string): readonly CpioEntry[] {
  const system = new LinuxFiles(root);
  system.addModules(modules, guestModules);
  system.add("init", guestInitScript);
  return system.entries(folders);
}

/** A small Linux: busybox, xenstore's tools, and what is added. */
class LinuxFiles {
  readonly #root: string;
  readonly #files = new Map<string, Uint8Array>();
  readonly #links = new Map<string, string>();

  constructor(root: string) {
    this.#root = root;
    this.addProgram("bin/busybox", path.join(root, "bin/busybox"));
    this.#links.set("bin/sh", "busybox");
    this.addProgram("bin/xenstore", path.join(root, "usr/bin/xenstore"));
    for (const tool of storeTools) this.#links.set(`bin/xenstore-${tool}`, "xenstore");
    // The C library loads it when a thread ends early, which xl's do, and no program lists it.
    this.add(`${libraries}/libgcc_s.so.1`, readFileSync(path.join(root, libraries, "libgcc_s.so.1")));
    this.add("etc/passwd", "root::0:0:root:/root:/bin/sh\n");
    this.#links.set("var/run", "../run");
  }

  add(name: string, content: Uint8Array | string): void {
    this.#files.set(name, typeof content === "string" ? Buffer.from(content) : content);
  }

  /** Adds a program and the libraries that it needs. */
  addProgram(name: string, file: string): void {
    const bytes = readFileSync(file);
    this.add(name, bytes);
    const program = ofFile(file, () => new ElfFile(bytes));
    for (const library of sharedLibraries(program, this.#root, path.basename(file))) {
      this.add(library.loader ? library.name.slice(1) : `${libraries}/${library.name}`, library.bytes);
    }
  }

  /** Adds modules and what they depend on, with a list of the order in which to load them. */
  addModules(folder: string, names: readonly string[]): void {
    const ordered = modulesInOrder(folder, names);
    for (const { name, bytes } of ordered) this.add(`modules/${name}.ko`, bytes);
    this.add("modules/order", ordered.map(({ name }) => `${name}\n`).join(""));
  }

  /** All of it, with the folders named. */
  entries(empty: readonly string[]): readonly CpioEntry[] {
    const all: readonly CpioEntry[] = [
      ...[...this.#links].map(([name, target]) => ({ kind: "link" as const, name, target })),
      ...[...this.#files].map(([name, bytes]) => ({ kind: "file" as const, name, bytes, executable: true })),
    ];
    return [...foldersOf([...all.map(({ name }) => path.posix.dirname(name)), ...empty]), ...all];
  }
}

/** The folders named and those that they are in, outer ones first. */
function foldersOf(names: readonly string[]): readonly CpioEntry[] {
  const all = new Set<string>();
  for (const name of names) {
    const parts = name.split("/").filter((part) => part !== "" && part !== ".");
    for (let count = 1; count <= parts.length; count++) all.add(parts.slice(0, count).join("/"));
  }
  return [...all].sort().map((name) => ({ kind: "directory", name }));
}

function only(folder: string, pattern: RegExp): string {
  const name = readdirSync(folder).find((each) => pattern.test(each));
  if (name === undefined) throw new ImageFailure(`Debian's packages have no file ${String(pattern)} in /boot`);
  return path.join(folder, name);
}

/** The hash of this package's modules: what they make is kept until one of them changes. */
function makersHash(): string {
  const hash = createHash("sha256");
  const own = readdirSync(import.meta.dirname).filter(
    (name) => /\.[mc]?[jt]s$/.test(name) && !/\.(test|fuzz|d)\./.test(name),
  );
  for (const name of own.sort()) {
    const file = path.join(import.meta.dirname, name);
    if (statSync(file).isFile()) hash.update(readFileSync(file));
  }
  return hash.digest("hex").slice(0, 16);
}
