import { spawnSync } from "node:child_process";
import { accessSync, constants, readFileSync, statSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { MachineError } from "./failure.ts";

/** A QEMU that emulates x86-64 machines. */
export interface Qemu {
  /** Absolute. */
  readonly path: string;
  /** Major and minor: `[7, 2]`. */
  readonly version: readonly [number, number];
}

/** Where and on what system it is looked for: the process's own by default. */
export interface Surroundings {
  readonly platform: NodeJS.Platform;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The text of /etc/os-release, or "". */
  readonly osRelease: string;
}

const program = "qemu-system-x86_64";
/** PVH boot with a ramdisk, microvm and a socket given as a file descriptor all work from here on. */
const oldest = [5, 0] as const;

/**
 * Finds QEMU on the PATH, or takes the one that the variable `QEMU` names.
 *
 * @throws MachineError naming the package to install when there is none, or it is too old.
 */
export function findQemu(around: Surroundings = surroundings()): Qemu {
  if (around.platform === "win32") {
    throw new MachineError("machines cannot be run from here: Windows is not supported", "run this in WSL");
  }
  const named = around.environment["QEMU"];
  const found = named === undefined || named === "" ? onPath(around) : path.resolve(named);
  if (found === undefined) throw new MachineError(`"${program}" is not installed`, installAdvice(around));
  const { stdout, error, status } = spawnSync(found, ["--version"], { encoding: "utf8", timeout: 10_000 });
  if (error !== undefined || status !== 0) {
    const why = error?.message ?? `it ended with status ${String(status)}`;
    throw new MachineError(`"${found}" does not run: ${why}`, installAdvice(around));
  }
  const version = parseVersion(stdout);
  if (version === undefined) throw new MachineError(`"${found}" is no QEMU`, "correct the variable QEMU");
  if (version[0] < oldest[0] || (version[0] === oldest[0] && version[1] < oldest[1])) {
    const has = version.join(".");
    throw new MachineError(
      `"${found}" is version ${has}; ${oldest.join(".")} or later is needed`,
      "install a newer one",
    );
  }
  return { path: found, version };
}

/** The version in what `--version` prints: `QEMU emulator version 7.2.22 (Debian …)`. */
export function parseVersion(text: string): readonly [number, number] | undefined {
  const match = /^QEMU emulator version (\d{1,4})\.(\d{1,4})/.exec(text);
  return match === null ? undefined : [Number(match[1]), Number(match[2])];
}

/** How to install QEMU, for the system at hand. */
export function installAdvice({ platform, osRelease }: Surroundings): string {
  if (platform === "darwin") return "run: brew install qemu";
  const ids = [...osRelease.matchAll(/^ID(?:_LIKE)?="?([^"\n]*)"?$/gm)].flatMap(([, value = ""]) => value.split(" "));
  const advice = packages.find(([id]) => ids.includes(id))?.[1];
  return advice === undefined ? `install the package that has ${program}` : `run: ${advice}`;
}

const packages: readonly (readonly [id: string, command: string])[] = [
  ["debian", "sudo apt-get install qemu-system-x86"],
  ["ubuntu", "sudo apt-get install qemu-system-x86"],
  ["fedora", "sudo dnf install qemu-system-x86-core"],
  ["rhel", "sudo dnf install qemu-kvm-core"],
  ["suse", "sudo zypper install qemu-x86"],
  ["opensuse", "sudo zypper install qemu-x86"],
  ["arch", "sudo pacman -S qemu-system-x86"],
  ["alpine", "sudo apk add qemu-system-x86_64"],
  ["nixos", "nix-shell -p qemu"],
];

function onPath({ environment }: Surroundings): string | undefined {
  for (const folder of (environment["PATH"] ?? "").split(path.delimiter)) {
    if (folder === "") continue;
    const file = path.resolve(folder, program);
    try {
      accessSync(file, constants.X_OK);
      if (statSync(file).isFile()) return file;
    } catch {
      // Not in this folder.
    }
  }
  return undefined;
}

function surroundings(): Surroundings {
  let osRelease = "";
  try {
    osRelease = readFileSync("/etc/os-release", "utf8");
  } catch {
    // Only Linux has one.
  }
  return { platform: process.platform, environment: process.env, osRelease };
}
