// The rival guest: Debian's cloud kernel as a careful engineer would tune it. The kernel is uncompressed (no
// decompression under emulation); the initramfs holds busybox and the nine modules that it takes to reach a disk and a
// network; Node.js, its libraries and the application are on an ext4 image, read page by page as they are touched.
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

export interface DebianGuest {
  readonly kernel: string;
  readonly initramfs: string;
  readonly disk: string;
  /** Bytes of kernel, initramfs and the files on the disk. */
  readonly size: number;
}

/** What is needed beside Node.js, by Debian package. */
export const debianGuestPrograms = ["apt-get", "dpkg-deb", "lz4", "cpio", "mke2fs", "busybox"] as const;

const modules = [
  ...["drivers/virtio/virtio_ring", "drivers/virtio/virtio", "drivers/virtio/virtio_mmio"],
  ...["drivers/virtio/virtio_pci_legacy_dev", "drivers/virtio/virtio_pci_modern_dev", "drivers/virtio/virtio_pci"],
  ...["drivers/block/virtio_blk", "net/core/failover", "drivers/net/net_failover", "drivers/net/virtio_net"],
];

/**
 * Makes the guest in `folder`, or takes the one that is there.
 *
 * @param root a folder with the file system that Node.js runs in: `/usr/bin/node`, its libraries, `/app/main.mjs`
 * @param address of the guest, as `10.7.0.2/24`
 * @param command run in it, with `/tmp` to write to. Default: Node.js with the application
 */
export function makeDebianGuest(
  folder: string,
  root: string,
  address: string,
  command = "/usr/bin/node /app/main.mjs",
): DebianGuest {
  mkdirSync(folder, { recursive: true });
  const kernel = path.join(folder, "vmlinux");
  const unpacked = path.join(folder, "package");
  if (!existsSync(kernel)) {
    const fetched = fetchKernelPackage(folder);
    rmSync(unpacked, { recursive: true, force: true });
    execFileSync("dpkg-deb", ["-x", fetched, unpacked]);
    rmSync(fetched);
    const boot = path.join(unpacked, "boot");
    const compressed = readdirSync(boot).find((each) => each.startsWith("vmlinuz-"));
    if (compressed === undefined) throw new Error(`no kernel in ${fetched}`);
    writeFileSync(`${kernel}.part`, uncompressed(readFileSync(path.join(boot, compressed))));
    renameSync(`${kernel}.part`, kernel);
  }
  const initramfs = path.join(folder, "initramfs.cpio");
  makeInitramfs(initramfs, unpacked, address, command);
  const disk = path.join(folder, "root.ext4");
  const files = mkdtempSync(path.join(tmpdir(), "tesserae-bench-"));
  try {
    cpSync(root, files, { recursive: true });
    for (const each of ["proc", "dev", "tmp"]) mkdirSync(path.join(files, each), { recursive: true });
    rmSync(disk, { force: true });
    execFileSync("mke2fs", ["-q", "-t", "ext4", "-O", "^has_journal", "-d", files, disk, "192M"]);
  } finally {
    rmSync(files, { recursive: true, force: true });
  }
  return { kernel, initramfs, disk, size: statSync(kernel).size + statSync(initramfs).size + sizeOf(root) };
}

/**
 * The command line of the guest: quiet, and without what only costs time in a virtual machine of one's own. The counter
 * of QEMU's emulation runs at 1 GHz; a microvm has nothing to measure that with.
 */
export const debianCommandLine =
  "console=ttyS0 quiet mitigations=off random.trust_cpu=on tsc=reliable tsc_early_khz=1000000 no_timer_check " +
  "cryptomgr.notests panic=-1";

function fetchKernelPackage(folder: string): string {
  const dependencies = execFileSync("apt-cache", ["depends", "linux-image-cloud-amd64"], { encoding: "utf8" });
  const name = /Depends: (linux-image-\S+)/.exec(dependencies)?.[1];
  if (name === undefined) throw new Error("apt knows no linux-image-cloud-amd64: run apt-get update");
  // Root may write into the folder, the user that apt changes to may not; apt warns of it and goes on.
  execFileSync("apt-get", ["download", "-qq", name], { cwd: folder, stdio: ["ignore", "ignore", "ignore"] });
  const file = readdirSync(folder).find((each) => each.startsWith(name) && each.endsWith(".deb"));
  if (file === undefined) throw new Error(`apt-get download ${name} left no package`);
  return path.join(folder, file);
}

/** The ELF file inside a bzImage compressed with LZ4, as Debian's cloud kernel is. */
function uncompressed(image: Buffer): Buffer {
  const magic = Buffer.from([0x02, 0x21, 0x4c, 0x18]);
  for (let at = image.indexOf(magic); at >= 0; at = image.indexOf(magic, at + 1)) {
    const out = lz4(image.subarray(at));
    if (out.subarray(0, 4).equals(Buffer.from("\x7fELF", "latin1"))) return out;
  }
  throw new Error("no LZ4 stream with an ELF file in the kernel image");
}

function lz4(input: Buffer): Buffer {
  try {
    return execFileSync("lz4", ["-dcq"], { input, maxBuffer: 1 << 28, stdio: ["pipe", "pipe", "ignore"] });
  } catch (error) {
    // It complains of what follows the stream, after having written all of it.
    if (error instanceof Error && "stdout" in error && Buffer.isBuffer(error.stdout)) return error.stdout;
    throw error;
  }
}

function makeInitramfs(to: string, unpacked: string, address: string, command: string): void {
  const release = readdirSync(path.join(unpacked, "lib/modules"))[0] ?? "";
  const folder = mkdtempSync(path.join(tmpdir(), "tesserae-bench-"));
  try {
    for (const each of ["bin", "modules", "root", "proc", "dev"]) mkdirSync(path.join(folder, each));
    if (spawnSync("ldd", ["/bin/busybox"]).status === 0)
      throw new Error("/bin/busybox wants libraries, which the guest has not: apt-get install busybox-static");
    copyFileSync("/bin/busybox", path.join(folder, "bin/busybox"));
    for (const each of modules) {
      copyFileSync(
        path.join(unpacked, "lib/modules", release, "kernel", `${each}.ko`),
        path.join(folder, "modules", `${path.basename(each)}.ko`),
      );
    }
    const init = path.join(folder, "init");
    writeFileSync(
      init,
      [
        "#!/bin/busybox sh",
        `for m in ${modules.map((each) => path.basename(each)).join(" ")}; do busybox insmod /modules/$m.ko; done`,
        "busybox mount -t devtmpfs none /dev",
        "busybox mount -t ext4 -o ro,noatime /dev/vda /root",
        "busybox mount -t proc none /root/proc",
        "busybox ip link set lo up",
        `busybox ip address add ${address} dev eth0`,
        "busybox ip link set eth0 up",
        "busybox mount -t tmpfs none /root/tmp",
        "busybox mount -t devtmpfs none /root/dev",
        `exec busybox chroot /root ${command}`,
        "",
      ].join("\n"),
    );
    chmodSync(init, 0o755);
    const list = execFileSync("find", [".", "-mindepth", "1"], { cwd: folder });
    writeFileSync(
      to,
      execFileSync("cpio", ["-o", "-H", "newc", "-R", "0:0", "--quiet"], {
        cwd: folder,
        input: list,
        maxBuffer: 1 << 26,
      }),
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function sizeOf(folder: string): number {
  let size = 0;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) size += statSync(path.join(entry.parentPath, entry.name)).size;
  }
  return size;
}
