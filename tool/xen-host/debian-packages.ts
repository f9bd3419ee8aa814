import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { ImageFailure } from "@tesserae/vm-image/image-failure";
import { runProgram, type Ran } from "@tesserae/vm-image/run-program";

/** A Debian package that is here as a file. */
export interface DebianPackage {
  readonly name: string;
  readonly version: string;
  /** In hex. */
  readonly sha256: string;
  /** Beside the list. */
  readonly file: string;
}

/** The release that the packages are from: the one whose names {@link packageNames} are. */
const release = "bookworm";
const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
const listFile = "packages.json";

/** What a Xen host is made of; the kernel's own package has a name that changes, and is found by this one. */
const kernelPackage = "linux-image-amd64";
export const packageNames: readonly string[] = [
  ...["xen-hypervisor-4.17-amd64", "xen-utils-4.17", "libxenmisc4.17", "xenstore-utils", "busybox-static"],
  ...["libxencall1", "libxendevicemodel1", "libxenevtchn1", "libxenforeignmemory1", "libxengnttab1", "libxenhypfs1"],
  ...["libxenstore4", "libxentoolcore1", "libxentoollog1", "libyajl2", "libnl-3-200", "libnl-route-3-200"],
  ...["libc6", "libgcc-s1", "libbz2-1.0", "liblzma5", "liblzo2-2", "libzstd1", "zlib1g", "libfdt1", "libuuid1"],
  ...["libncursesw6", "libncurses6", "libtinfo6", "libssl3"],
];

/**
 * The packages that a Xen host is made of, fetched once into `folder` and from then on taken from there. They are
 * fetched with apt, whose mirrors and proxies count and which checks them against Debian's signatures; nothing is
 * installed, and no privilege is needed.
 *
 * @throws ImageFailure (rejects) where there is no apt, or it cannot fetch them.
 */
export async function obtainPackages(
  folder: string,
  onProgress: (text: string) => void = () => undefined,
): Promise<readonly DebianPackage[]> {
  const kept = readPackages(folder);
  if (kept !== undefined) return kept;
  mkdirSync(path.dirname(folder), { recursive: true });
  const fresh = mkdtempSync(`${folder}.`);
  try {
    onProgress("fetching Xen, Linux and their tools (80 MB, once)");
    const packages = await fetchPackages(fresh);
    writeFileSync(path.join(fresh, listFile), `${JSON.stringify(packages, undefined, 2)}\n`);
    rmSync(folder, { recursive: true, force: true });
    renameSync(fresh, folder);
    return packages;
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

/** Unpacks packages into `root`, without running anything of theirs. @throws ImageFailure (rejects) */
export async function unpackPackages(folder: string, packages: readonly DebianPackage[], root: string): Promise<void> {
  for (const { file } of packages) {
    const ran = await runProgram("dpkg-deb", ["--extract", path.join(folder, file), root]);
    if (ran.status !== 0) throw new ImageFailure(`${file} cannot be unpacked: ${lastLine(ran)}`);
  }
}

/** What was fetched before, when it is all there and as it was then. */
function readPackages(folder: string): readonly DebianPackage[] | undefined {
  try {
    // as: this module wrote it; anything else has other names or hashes.
    const packages = JSON.parse(readFileSync(path.join(folder, listFile), "utf8")) as readonly DebianPackage[];
    const complete = packageNames.every((name) => packages.some((each) => each.name === name));
    const whole = packages.every(({ file, sha256 }) => hashOf(path.join(folder, file)) === sha256);
    return complete && whole ? packages : undefined;
  } catch {
    // Nothing, or nothing that can be read: they are fetched.
    return undefined;
  }
}

async function fetchPackages(folder: string): Promise<readonly DebianPackage[]> {
  // First with the lists that the system has, if it is of this release; else with own ones, which takes a minute.
  let download = isRelease() ? await downloadInto(folder, []) : undefined;
  if (download === undefined || download.status !== 0) {
    const own = await updateOwnLists(folder);
    download = await downloadInto(folder, own);
    rmSync(path.join(folder, "apt"), { recursive: true, force: true });
  }
  if (download.status !== 0) {
    throw new ImageFailure(
      `apt could not fetch the packages of a Xen host: ${lastLine(download)}`,
      "check the network",
    );
  }
  const files = readdirSync(folder).filter((name) => name.endsWith(".deb"));
  return files.sort().map((file) => {
    // NAME_VERSION_ARCHITECTURE.deb, with colons in the version as %3a.
    const [name = "", version = ""] = file.split("_");
    return { name, version: decodeURIComponent(version), sha256: hashOf(path.join(folder, file)), file };
  });
}

/** `apt-get download` of all packages. */
async function downloadInto(folder: string, options: readonly string[]): Promise<Ran> {
  const depends = await apt("apt-cache", [...options, "depends", kernelPackage], folder);
  const kernel = /Depends: (linux-image-[\w.+-]+)/.exec(depends.stdout)?.[1];
  if (kernel === undefined) {
    return { status: 1, stdout: "", stderr: `there is no package ${kernelPackage} in apt's lists` };
  }
  const names = [...packageNames, kernel].map((name) => `${name}:amd64`);
  return apt("apt-get", [...options, "-q", "-o", "APT::Sandbox::User=", "download", ...names], folder);
}

/** Lists of this release alone, in a folder of our own; gives the options that make apt use them. */
async function updateOwnLists(folder: string): Promise<readonly string[]> {
  const own = path.join(folder, "apt");
  for (const each of ["lists/partial", "cache/archives/partial", "parts"]) {
    mkdirSync(path.join(own, each), { recursive: true });
  }
  const from = (url: string, suite: string): string => `deb [arch=amd64 signed-by=${keyring}] ${url} ${suite} main\n`;
  writeFileSync(
    path.join(own, "sources.list"),
    from("http://deb.debian.org/debian", release) +
      from("http://deb.debian.org/debian-security", `${release}-security`),
  );
  writeFileSync(path.join(own, "status"), "");
  const settings = {
    "Dir::Etc::sourcelist": path.join(own, "sources.list"),
    "Dir::Etc::sourceparts": path.join(own, "parts"),
    "Dir::State::lists": path.join(own, "lists"),
    "Dir::State::status": path.join(own, "status"),
    "Dir::Cache": path.join(own, "cache"),
    "APT::Architecture": "amd64",
    "APT::Architectures": "amd64",
    "APT::Sandbox::User": "",
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  const updated = await apt("apt-get", [...options, "-q", "update"], folder);
  if (updated.status !== 0) {
    throw new ImageFailure(
      `apt could not fetch Debian's lists of packages: ${lastLine(updated)}`,
      `check the network, and that ${keyring} is there (package debian-archive-keyring)`,
    );
  }
  return options;
}

async function apt(program: string, argv: readonly string[], folder: string): Promise<Ran> {
  const ran = await runProgram(program, argv, { folder, environment: { LC_ALL: "C" } });
  if (ran.refused === undefined) return ran;
  throw new ImageFailure(
    `a Xen host is made of Debian's packages, and ${program} is not here (${ran.refused})`,
    "run this on Debian or Ubuntu, or in a container of one (docker run debian:12)",
  );
}

function isRelease(): boolean {
  try {
    return new RegExp(`^VERSION_CODENAME=${release}$`, "m").test(readFileSync("/etc/os-release", "utf8"));
  } catch {
    // Another system.
    return false;
  }
}

function hashOf(file: string): string {
  return createHash("sha256").update(readFileSync(file)).digest("hex");
}

/** The first line that names an error, else the last one. */
function lastLine({ stderr, status }: Ran): string {
  const lines = stderr.trim().split("\n");
  const line = lines.find((each) => each.startsWith("E: ")) ?? lines.at(-1) ?? "";
  return line === "" ? `status ${String(status)}` : line.replace(/^E: /, "");
}
