import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, existsSync, lstatSync, mkdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { addonSource } from "./addon-source.ts";

/** The functions of the native piece. Addresses and results are exact integers; errors are negative `errno`s. */
export interface Addon {
  /** A system call by its number. Whoever passes an address keeps the ArrayBuffer that it lies in alive. */
  call(number: number, a?: number, b?: number, c?: number, d?: number, e?: number, f?: number): number;
  /** Memory of a descriptor, or with −1 fresh pages: the bytes never move, and are unmapped when nobody has them. */
  map(fd: number, length: number, offset: number): ArrayBuffer | number;
  /** Where a buffer begins in memory. Small typed arrays made without one move about: never pass theirs. */
  addressOf(buffer: ArrayBuffer): number;
  /**
   * Reads until nothing is left, `most` frames are there, or the memory has no room for one of `largest` bytes. Each
   * starts on a multiple of 64 behind the one before, plus `lead`. The pairs (offset, length) go to `slots`, as Int32.
   *
   * @returns how many, or −errno when not even one could be read
   */
  readMany(
    fd: number,
    memory: number,
    size: number,
    largest: number,
    most: number,
    lead: number,
    slots: number,
  ): number;
  /** Writes the pairs (offset, length) of `slots`; a length becomes −errno when it failed. How many went out whole. */
  writeMany(fd: number, memory: number, slots: number, count: number): number;
  /** Calls back while there is something to read, from this thread's event loop. A handle, or −errno. */
  watch(fd: number, callback: () => void): number;
  /** No callback comes any more, and the descriptor may be closed. Once a handle. */
  unwatch(handle: number): void;
  /** Whether the process lives on while this is the only thing it waits for: 1 or 0. */
  hold(handle: number, whether: number): void;
}

/** The native piece, or why there is none, in words. */
export type AddonOutcome = { readonly ok: true; readonly addon: Addon } | { readonly ok: false; readonly why: string };

/**
 * Of the environment: `off` goes without the native piece, `none` without anything that stands in for it, too; a path
 * names one that is built already.
 */
export const addonVariable = "TESSERAE_NATIVE";

let outcome: AddonOutcome | undefined;

/**
 * The native piece, built by this machine's C compiler when it is first wanted and kept in the user's cache
 * (`$XDG_CACHE_HOME/tesserae`): a few hundred milliseconds once, nothing after that.
 */
export function loadAddon(): AddonOutcome {
  outcome ??= load();
  return outcome;
}

function load(): AddonOutcome {
  const wanted = process.env[addonVariable];
  if (wanted === "off" || wanted === "none") return { ok: false, why: `${addonVariable} is "${wanted}"` };
  if (process.platform !== "linux") return { ok: false, why: `it is for Linux, and this is ${process.platform}` };
  try {
    const file = wanted === undefined || wanted === "" ? built() : wanted;
    const module = { exports: {} };
    process.dlopen(module, file);
    // as: the source says what it exports, and the name of the file is made of its hash.
    return { ok: true, addon: module.exports as Addon };
  } catch (error) {
    return { ok: false, why: error instanceof Error ? error.message : String(error) };
  }
}

/** The shared object in the cache, compiled when it is not there. @throws Error saying what is missing. */
function built(): string {
  const folder = cacheFolder();
  const hash = createHash("sha256").update(addonSource).update(process.arch).digest("hex").slice(0, 16);
  const file = join(folder, `native-${hash}.node`);
  if (existsSync(file) && isOwn(file)) return file;
  const compiler = process.env["CC"] ?? "cc";
  const made = join(folder, `native-${hash}-${process.pid}-${Date.now()}`);
  writeFileSync(`${made}.c`, addonSource, { mode: 0o600, flag: "wx" });
  try {
    const options = ["-O2", "-shared", "-fPIC", "-fvisibility=hidden", "-Wl,--allow-shlib-undefined"];
    const ran = spawnSync(compiler, [...options, "-o", `${made}.node`, `${made}.c`], { encoding: "utf8" });
    if (ran.error !== undefined) throw new Error(`there is no C compiler "${compiler}": apt-get install gcc libc6-dev`);
    if (ran.status !== 0) throw new Error(`${compiler} failed: ${ran.stderr.trim().split("\n")[0] ?? ""}`);
    chmodSync(`${made}.node`, 0o700);
    // Others may be building it, too: whoever is last replaces the same bytes.
    renameSync(`${made}.node`, file);
  } finally {
    rmSync(`${made}.c`, { force: true });
    rmSync(`${made}.node`, { force: true });
  }
  return file;
}

/** A folder that nobody else can write to: what is in it is run. */
function cacheFolder(): string {
  const base = process.env["XDG_CACHE_HOME"];
  const folder = join(base === undefined || base === "" ? join(homedir(), ".cache") : base, "tesserae");
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (!isOwn(folder)) throw new Error(`${folder} belongs to another user, or others may write to it`);
  return folder;
}

function isOwn(path: string): boolean {
  if (lstatSync(path).isSymbolicLink()) return false;
  const { uid, mode } = statSync(path);
  return uid === process.getuid?.() && (mode & 0o022) === 0;
}
