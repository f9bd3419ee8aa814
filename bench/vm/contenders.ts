// The two guests of every race: our image, and Debian's kernel with the same Node.js, libraries and application.
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileContent } from "@tesserae/vm-image/content";
import { readImage } from "@tesserae/vm-image/image-reader";
import { type DebianGuest, debianCommandLine, debianGuestPrograms, makeDebianGuest } from "./debian-kernel.ts";
import { guestAddress, hostAddress, type GuestPlan } from "./guest.ts";

export interface Contenders {
  readonly ours: GuestPlan & { readonly size: number };
  readonly debian: GuestPlan & { readonly size: number };
}

/** Programs that the races need beside QEMU, for `unavailable`. */
export const programs = ["qemu-system-x86_64", "taskset", "wrk", ...debianGuestPrograms] as const;

const folder = path.resolve("node_modules/.cache/bench/vm");
const application = path.resolve("bench/vm/application");

/** Builds an application of `bench/vm` for a target. @returns the folder that has the outcome */
export function buildApplication(application: string, target: "vm" | "node"): string {
  execFileSync(process.execPath, [path.resolve("tool/cli/bin/tesserae.js"), "build", "--target", target], {
    cwd: application,
    stdio: ["ignore", "ignore", "inherit"],
  });
  return path.join(application, ".tesserae", target);
}

/** What QEMU is to start for an image that was built. */
export function imagePlan(built: string): GuestPlan & { readonly size: number } {
  const kernel = path.join(built, "image/kernel.elf");
  const image = path.join(built, "image/image.bin");
  return {
    name: "our image",
    kernel,
    initrd: image,
    mapped: true,
    commandLine: `ipv4=${guestAddress}/24 gateway=${hostAddress}`,
    size: statSync(kernel).size + statSync(image).size,
  };
}

/** What QEMU is to start for a guest with Debian's kernel. */
export function debianPlan(debian: DebianGuest, name = "Debian's cloud kernel"): GuestPlan & { readonly size: number } {
  const { kernel, initramfs, disk, size } = debian;
  return { name, kernel, initrd: initramfs, commandLine: debianCommandLine, disk, size };
}

/** Builds both from one application. */
export function makeContenders(): Contenders {
  const ours = imagePlan(buildApplication(application, "vm"));
  const root = path.join(folder, "root");
  unpack(ours.initrd, root);
  const main = path.join(buildApplication(application, "node"), "bench-guest.mjs");
  writeFileSync(path.join(root, "app/main.mjs"), readFileSync(main));
  const debian = makeDebianGuest(path.join(folder, "debian"), root, `${guestAddress}/24`);
  return { ours, debian: debianPlan(debian) };
}

const typeMask = 0o170000;
const directoryType = 0o040000;
const fileType = 0o100000;

/** Writes the files of an image into a folder: what runs there is to be what runs here, to the byte. */
function unpack(image: string, to: string): void {
  rmSync(to, { recursive: true, force: true });
  const read = readImage(fileContent(image));
  for (const entry of read.entries) {
    const target = path.join(to, entry.path);
    const type = entry.mode & typeMask;
    if (type === directoryType) mkdirSync(target, { recursive: true });
    else if (type === fileType) writeFileSync(target, read.bytes(entry), { mode: entry.mode & 0o777 });
  }
}
