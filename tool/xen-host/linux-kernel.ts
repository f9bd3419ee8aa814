import { spawnSync } from "node:child_process";
import type { Buffer } from "node:buffer";

/** The compressions that kernels come in, by how their streams begin, and what undoes them. */
const compressions: readonly { readonly magic: readonly number[]; readonly command: readonly string[] }[] = [
  { magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a], command: ["xz", "-dc"] },
  { magic: [0x28, 0xb5, 0x2f, 0xfd], command: ["zstd", "-dc"] },
  { magic: [0x1f, 0x8b], command: ["gzip", "-dc"] },
];
/** Bytes that a kernel may have when it is unpacked. */
const most = 512 * 2 ** 20;

/**
 * The ELF file inside a `vmlinuz` (Linux: Documentation/arch/x86/boot), which a hypervisor loads without unpacking it
 * itself; `undefined` when it cannot be had: the file is no such thing, or there is no program here to unpack it with.
 */
export function unpackKernel(vmlinuz: Buffer): Buffer | undefined {
  if (vmlinuz.length < 0x260 || vmlinuz.toString("latin1", 0x202, 0x206) !== "HdrS") return undefined;
  // Version 2.08 of the boot protocol brought the place of the payload.
  if (vmlinuz.readUInt16LE(0x206) < 0x208) return undefined;
  const setupSectors = vmlinuz[0x1f1] === 0 ? 4 : (vmlinuz[0x1f1] ?? 4);
  const start = (setupSectors + 1) * 512 + vmlinuz.readUInt32LE(0x248);
  const payload = vmlinuz.subarray(start, start + vmlinuz.readUInt32LE(0x24c));
  const compression = compressions.find(({ magic }) => magic.every((byte, index) => payload[index] === byte));
  if (compression === undefined) return undefined;
  const [program = "", ...argv] = compression.command;
  // The last four bytes are the size of what comes out, and no part of the stream.
  const { stdout } = spawnSync(program, argv, { input: payload.subarray(0, -4), maxBuffer: most });
  // as: there is none when the program could not be started.
  const unpacked = stdout as Buffer | null;
  return unpacked !== null && unpacked.length > 4 && unpacked.readUInt32BE(0) === 0x7f454c46 ? unpacked : undefined;
}
