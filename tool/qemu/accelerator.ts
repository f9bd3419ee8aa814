import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { homedir, tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import type { Qemu } from "./find.ts";

/** What runs the machine's instructions: the processor itself, or QEMU's translator. */
export type Accelerator = "kvm" | "hvf" | "tcg";

export interface Acceleration {
  readonly accelerator: Accelerator;
  /** With `tcg`: why the processor itself cannot do it, in words. */
  readonly reason?: string;
}

/** Milliseconds that the probing guest may take; it needs some forty where it works. */
const bound = 1000;
/** What the probing guest writes to its exit device: QEMU's status is then twice that and one. */
const passed = 0x10 * 2 + 1;

/** The value of `-cpu` that gives a machine all that the accelerator has. */
export function cpuModel(accelerator: Accelerator): string {
  return accelerator === "tcg" ? "max" : "host";
}

/**
 * Finds out whether the processor can run a machine here. That there is a /dev/kvm which may be opened says little:
 * inside some virtual machines and sandboxes guests are made and then never get anywhere. So a guest of a hundred bytes
 * is run, which has to come as far as 64-bit code. What came out is remembered until the next boot.
 */
export async function findAccelerator(qemu: Qemu): Promise<Acceleration> {
  const candidate = process.platform === "darwin" ? "hvf" : "kvm";
  const refused = candidate === "kvm" ? kvmRefusal() : hvfRefusal();
  if (refused !== undefined) return { accelerator: "tcg", reason: refused };
  const memory = memoryFile(qemu, candidate);
  if (memory !== undefined && existsSync(memory)) {
    const reason = readFileSync(memory, "utf8").trim();
    return reason === "" ? { accelerator: candidate } : { accelerator: "tcg", reason };
  }
  const reason = await probe(qemu, candidate);
  if (memory !== undefined) remember(memory, reason ?? "");
  return reason === undefined ? { accelerator: candidate } : { accelerator: "tcg", reason };
}

/**
 * Runs a guest that switches to 64-bit mode with paging, uses a vector register and ends: `undefined` when it did, else
 * why not, in words.
 */
export async function probe(qemu: Qemu, accelerator: Accelerator): Promise<string | undefined> {
  const folder = mkdtempSync(path.join(tmpdir(), "tesserae-probe-"));
  try {
    const firmware = path.join(folder, "firmware");
    writeFileSync(firmware, probeFirmware());
    const args = ["-accel", accelerator, "-cpu", cpuModel(accelerator), "-M", "pc", "-m", "2", "-bios", firmware];
    args.push("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot");
    args.push("-device", "isa-debug-exit,iobase=0xf4,iosize=1");
    const child = spawn(qemu.path, args, { stdio: ["ignore", "ignore", "pipe"] });
    let said = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      if (said.length < 4096) said += text;
    });
    const timer = setTimeout(() => child.kill("SIGKILL"), bound);
    const status = await new Promise<number | string>((resolve) => {
      child.once("error", (error) => resolve(error.message));
      child.once("close", (code, signal) => resolve(code ?? signal ?? ""));
    });
    clearTimeout(timer);
    if (status === passed) return undefined;
    const name = accelerator.toUpperCase();
    if (status === "SIGKILL") return `a guest under ${name} is made, but gets nowhere`;
    const line = said
      .split("\n")
      .find((each) => each.includes("error") || each.includes("failed"))
      ?.replace(/^\S*qemu-system-x86_64: (?:error: )?/, "");
    return `a guest under ${name} does not run: ${line ?? `QEMU ended with ${String(status)}`}`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function kvmRefusal(): string | undefined {
  if (process.platform !== "linux") return "this system has no KVM";
  if (process.arch !== "x64") return `this processor (${process.arch}) has another instruction set`;
  if (!existsSync("/dev/kvm")) return "there is no /dev/kvm";
  try {
    accessSync("/dev/kvm", constants.R_OK | constants.W_OK);
    return undefined;
  } catch {
    return '/dev/kvm may not be opened (sudo usermod -aG kvm "$(id -un)", then log in again)';
  }
}

function hvfRefusal(): string | undefined {
  return process.arch === "x64" ? undefined : `this processor (${process.arch}) has another instruction set`;
}

/** Where the outcome is kept: another boot, another QEMU or another version of it asks anew. */
function memoryFile(qemu: Qemu, accelerator: Accelerator): string | undefined {
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    const { mtimeMs, size } = statSync(qemu.path);
    const key = [boot, process.getuid?.(), accelerator, qemu.path, mtimeMs, size].join("\n");
    const cache = process.env["XDG_CACHE_HOME"] ?? path.join(homedir(), ".cache");
    const name = createHash("sha256").update(key).digest("hex").slice(0, 16);
    return path.join(cache, "tesserae", `accelerator-${name}`);
  } catch {
    return undefined;
  }
}

function remember(file: string, reason: string): void {
  try {
    mkdirSync(path.dirname(file), { recursive: true });
    const temporary = `${file}.${String(process.pid)}`;
    writeFileSync(temporary, reason);
    renameSync(temporary, file);
  } catch {
    // A cache that cannot be written costs a probe each time, and nothing else.
  }
}

/** Bytes of the firmware; it lies at the end of the first 4 GiB. */
const firmwareSize = 65_536;

/**
 * The guest: firmware that starts in real mode at its last 16 bytes.
 *
 * ```
 *  00  cli; mov $0x1000, %sp; xor %ax, %ax; mov %ax, %ds
 *      PML4 at 0x1000, PDPT at 0x2000, page directories at 0x3000 (first 2 MiB) and 0x4000 (last 2 MiB below 4 GiB)
 *      movl $0x2003, 0x1000; movl $0x3003, 0x2000; movl $0x4003, 0x2018; movl $0x83, 0x3000; movl $0xffe00083, 0x4ff8
 *      mov $0x1000, %cr3; mov $(PAE | OSFXSR | OSXMMEXCPT), %cr4; EFER |= LME; lgdtl %cs:gdtr
 *      mov $(PG | MP | PE), %cr0; ljmpl $8, $long
 *  83  long: xor %eax, %eax; cpuid; movq %rax, %xmm0; pxor %xmm1, %xmm1; paddq %xmm1, %xmm0
 *      mov $0x10, %al; out %al, $0xf4; hlt
 *  a0  gdt: .quad 0, 0x00209a0000000000
 *  b0  gdtr: .word 15; .long gdt
 * fff0 jmp 00
 * ```
 */
export function probeFirmware(): Uint8Array {
  const firmware = new Uint8Array(firmwareSize).fill(0xf4);
  firmware.set(
    hex(
      "fabc001031c08ed866bf001000006766c70703200000" +
        "66bf002000006766c707033000006766c747180340000066bf003000006766c70783000000" +
        "66bff84f00006766c7078300e0ff66b8001000000f22d866b8200600000f22e0" +
        "66b9800000c00f32660d000100000f302e660f0116b00066b8030000800f22c066ea8300ffff0800" +
        "31c00fa266480f6ec0660fefc9660fd4c1b010e6f4f4",
    ),
    0,
  );
  firmware.set(hex("0000000000000000" + "00000000009a2000" + "0f00" + "a000ffff"), 0xa0);
  firmware.set(hex("e90d00"), firmwareSize - 16);
  return firmware;
}

function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, "hex"));
}
