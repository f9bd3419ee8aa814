import { cpuModel, type Accelerator } from "./accelerator.ts";
import type { Network } from "./network.ts";

/** The kinds of machine that an image is run in. */
export const machineTypes = ["q35", "pc", "microvm"] as const;
export type MachineType = (typeof machineTypes)[number];

/** What the machine starts from. */
export type Boot =
  /** The kernel by QEMU's own loader, with the image as its ramdisk unless the kernel holds it. */
  | {
      readonly kernel: string;
      readonly image?: string | undefined;
      /**
       * The image's size in bytes, when it is to be mapped beside RAM as an NVDIMM, which takes no RAM and reads only
       * what is touched; `microvm` has none. Otherwise the image is loaded into RAM.
       */
      readonly mapped?: number | undefined;
      readonly commandLine: string;
    }
  /** A bootable raw disk, by BIOS or by the UEFI firmware given. */
  | { readonly disk: string; readonly firmware?: string | undefined };

export interface DiskFile {
  /** Raw sectors. */
  readonly file: string;
  readonly readOnly: boolean;
}

/** A machine to run an image in. */
export interface MachineOptions {
  readonly boot: Boot;
  /** Bytes, a multiple of 1 MiB. */
  readonly memory: number;
  readonly machine: MachineType;
  readonly accelerator: Accelerator;
  /** Network cards, in order. */
  readonly networks: readonly Network[];
  /** Disks, in order. */
  readonly blocks: readonly DiskFile[];
  /** Where the first card's frames are captured. */
  readonly pcap?: string | undefined;
  /** A TCP port on which the machine waits for a debugger before its first instruction. */
  readonly gdb?: number | undefined;
  /** More arguments for QEMU, after all others. */
  readonly more?: readonly string[] | undefined;
}

/** The file descriptor on which QEMU finds its control connection. */
export const controlDescriptor = 3;

/** The console on standard input and output, and the control connection at {@link controlDescriptor}. */
export const channelArguments: readonly string[] = [
  ...["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"],
  ...["-chardev", `socket,id=control,fd=${String(controlDescriptor)}`, "-mon", "chardev=control,mode=control"],
];

/** The I/O port of the exit device, which the kernel knows. */
const exitPort = 0xf4;

/**
 * The command line for QEMU: the console is standard input and output, the control connection is
 * {@link controlDescriptor}.
 */
export function machineArguments(options: MachineOptions): readonly string[] {
  const { boot, machine, accelerator, networks, blocks } = options;
  const args = ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"];
  const mapped = "kernel" in boot && boot.image !== undefined ? boot.mapped : undefined;
  args.push(
    "-M",
    mapped === undefined ? machine : `${machine},nvdimm=on`,
    "-accel",
    accelerator,
    "-cpu",
    cpuModel(accelerator),
    "-smp",
    "1",
  );
  const memory = options.memory / 2 ** 20;
  // The place beside RAM is in units of 1 GiB, with one to spare for where it begins.
  const most = mapped === undefined ? 0 : memory + (Math.ceil(mapped / 2 ** 30) + 1) * 1024;
  args.push("-m", mapped === undefined ? `${String(memory)}M` : `${String(memory)}M,slots=1,maxmem=${String(most)}M`);
  args.push(...channelArguments);
  if (machine === "microvm") args.push("-global", "virtio-mmio.force-legacy=false");
  args.push("-device", `isa-debug-exit,iobase=0x${exitPort.toString(16)},iosize=1`);
  args.push("-object", "rng-builtin,id=random", "-device", virtioDevice(machine, "rng", "rng=random"));
  networks.forEach((network, index) => {
    const id = `net${String(index)}`;
    args.push("-netdev", backend(network, id), "-device", virtioDevice(machine, "net", `netdev=${id}`, "romfile="));
  });
  blocks.forEach(({ file, readOnly }, index) => {
    const id = `block${String(index)}`;
    const access = readOnly ? ",read-only=on" : "";
    args.push("-drive", `if=none,id=${id},format=raw,file=${quote(file)}${access}`);
    args.push("-device", virtioDevice(machine, "blk", `drive=${id}`));
  });
  if (options.pcap !== undefined) {
    args.push("-object", `filter-dump,id=capture,netdev=net0,maxlen=65536,file=${quote(options.pcap)}`);
  }
  if (options.gdb !== undefined) args.push("-gdb", `tcp:127.0.0.1:${String(options.gdb)}`, "-S");
  if ("disk" in boot) {
    if (boot.firmware !== undefined) args.push("-bios", boot.firmware);
    args.push("-drive", `if=none,id=boot,format=raw,file=${quote(boot.disk)}`);
    args.push("-device", virtioDevice(machine, "blk", "drive=boot,bootindex=0"));
  } else {
    args.push("-kernel", boot.kernel);
    if (boot.image !== undefined) {
      if (mapped === undefined) args.push("-initrd", boot.image);
      else args.push(...nvdimm(boot.image, mapped));
    }
    if (boot.commandLine !== "") args.push("-append", boot.commandLine);
  }
  args.push(...(options.more ?? []));
  return args;
}

/** A file as memory that the guest can read: pages come from the host's cache, shared with other guests. */
function nvdimm(file: string, size: number): readonly string[] {
  const backing = `memory-backend-file,id=image,share=on,readonly=on,mem-path=${quote(file)},size=${String(size)}`;
  return ["-object", backing, "-device", "nvdimm,memdev=image,unarmed=on"];
}

function backend(network: Network, id: string): string {
  if (network.kind === "tap") return `tap,id=${id},ifname=${quote(network.name)},script=no,downscript=no`;
  const forwards = network.forwards.flatMap(({ address, hostPort, guestPort }) =>
    ["tcp", "udp"].map((kind) => `,hostfwd=${kind}:${address}:${String(hostPort)}-:${String(guestPort)}`),
  );
  return `user,id=${id},ipv6=off${forwards.join("")}`;
}

/**
 * A virtio device as the machine's bus wants it. The guest finds devices of one kind in the order in which they are
 * given. Slots are left to QEMU, which fills those of memory-mapped devices from the last to the first and tells the
 * guest of them in that order; the interrupt of the very first slot never arrives, as QEMU takes it for the timer's.
 */
function virtioDevice(machine: MachineType, kind: "rng" | "net" | "blk", options: string, forPci?: string): string {
  if (machine === "microvm") return `virtio-${kind}-device,${options}`;
  // The interface of virtio 1.0 alone, and no boot ROM for a card that nothing boots from.
  return `virtio-${kind}-pci,${options},disable-legacy=on${forPci === undefined ? "" : `,${forPci}`}`;
}

/** A value of an option that may have commas: QEMU wants them twice. */
function quote(value: string): string {
  return value.replaceAll(",", ",,");
}
