/**
 * The forms in which an image can be written:
 *
 * - `direct`: kernel and image as two files, for hypervisors that load a kernel with an initial RAM disk (`-kernel
 *   kernel.elf -initrd image.bin`). It is always written, and the others are made of it;
 * - `elf`: both in one ELF file, for `-kernel` alone;
 * - `firecracker`: a configuration for `firecracker --config-file`;
 * - `libvirt`: a domain for `virsh define`;
 * - `xl`: a guest for `xl create`;
 * - `oci`: an OCI image layout with the annotations that urunc reads;
 * - `disk`: a raw disk that boots on BIOS and UEFI machines.
 */
export const formats = ["direct", "elf", "firecracker", "libvirt", "xl", "oci", "disk"] as const;

export type Format = (typeof formats)[number];

/** What every form is made of. */
export interface FormatInput {
  /** The application's name: `hello`. */
  readonly name: string;
  /** The kernel's ELF file and the image, absolute paths. */
  readonly kernel: string;
  readonly image: string;
  /** A folder that exists, for what is written. */
  readonly output: string;
  /** The kernel's command line, which is also where the application's keys come from. Words, with spaces between. */
  readonly commandLine: string;
  /** RAM for those forms that say how much, in MiB. */
  readonly memory: number;
  /** Network interfaces and disks that the application wants, for those forms that list them. */
  readonly interfaces: number;
  readonly disks: number;
}
