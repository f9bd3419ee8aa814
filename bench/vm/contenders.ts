// The two guests of every race: our image, and Debian's kernel with the same Node.js, libraries and application.
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileContent } from "@tesserae/vm-image/content";
import { readImage } from "@tesserae/vm-image/image-reader";
import { debianCommandLine, debianGuestPrograms, makeDebianGuest } from "./debian-kernel.ts";
import { guestAddress, hostAddress, type GuestPlan } from "./guest.ts";

export interface Contenders {
  readonly ours: GuestPlan & { readonly size: number };
  readonly debian: GuestPlan & { readonly size: number };
}

/** Programs that the races need beside QEMU, for `unavailable`. */
export const programs = ["qemu-system-x86_64", "taskset", "wrk", ...debianGuestPrograms] as const;

const folder = path.resolve("node_modules/.cache/bench/vm");
const application = path.resolve("bench/vm/application");

/** Builds both from one application. */
export function makeContenders(): Contenders {
  for (const target of ["vm", "node"]) {
    execFileSync(process.execPath, [path.resolve("tool/cli/bin/tesserae.js"), "build", "--target", target], {
      cwd: application,
      stdio: ["ignore", "ignore", "inherit"],
    });
  }
  const kernel = path.join(application, ".tesserae/vm/image/kernel.elf");
  const image = path.join(application, ".tesserae/vm/image/image.bin");
  const root = path.join(folder, "root");
  unpack(image, root);
  const main = path.join(application, ".tesserae/node/bench-guest.mjs");
  writeFileSync(path.join(root, "app/main.mjs"), readFileSync(main));
  const debian = makeDebianGuest(path.join(folder, "debian"), root, `${guestAddress}/24`);
  return {
    ours: {
      name: "our image",
      kernel,
      initrd: image,
      mapped: true,
      commandLine: `ipv4=${guestAddress}/24 gateway=${hostAddress}`,
      size: statSync(kernel).size + statSync(image).size,
    },
    debian: {
      name: "Debian's cloud kernel",
      kernel: debian.kernel,
      initrd: debian.initramfs,
      commandLine: debianCommandLine,
      disk: debian.disk,
      size: debian.size,
    },
  };
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
