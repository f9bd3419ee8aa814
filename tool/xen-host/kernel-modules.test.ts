import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { dependencies, modulesInOrder } from "./kernel-modules.ts";

const folder = mkdtempSync(path.join(tmpdir(), "tesserae-modules-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** An ELF file with nothing but a section .modinfo. */
function kernelModule(info: readonly string[]): Buffer {
  const names = Buffer.from("\0.modinfo\0.shstrtab\0");
  const text = Buffer.from(info.map((each) => `${each}\0`).join(""));
  const headers = 64 + names.length + text.length;
  const file = Buffer.alloc(headers + 3 * 64);
  file.write("\x7fELF\x02\x01\x01", "latin1");
  file.writeUInt16LE(1, 16);
  file.writeUInt16LE(62, 18);
  file.writeBigUInt64LE(BigInt(headers), 40);
  file.writeUInt16LE(64, 52);
  file.writeUInt16LE(56, 54);
  file.writeUInt16LE(64, 58);
  file.writeUInt16LE(3, 60);
  file.writeUInt16LE(2, 62);
  names.copy(file, 64);
  text.copy(file, 64 + names.length);
  const section = (index: number, name: number, type: number, offset: number, size: number): void => {
    const at = headers + index * 64;
    file.writeUInt32LE(name, at);
    file.writeUInt32LE(type, at + 4);
    file.writeBigUInt64LE(BigInt(offset), at + 24);
    file.writeBigUInt64LE(BigInt(size), at + 32);
  };
  section(1, 1, 1, 64 + names.length, text.length);
  section(2, 10, 3, 64, names.length);
  return file;
}

function put(name: string, info: readonly string[]): void {
  const file = path.join(folder, name);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, kernelModule(info));
}

put("kernel/net/bridge/bridge.ko", ["license=GPL", "depends=stp,llc"]);
put("kernel/net/802/stp.ko", ["depends=llc"]);
put("kernel/net/llc/llc.ko", ["depends="]);
put("kernel/drivers/xen-blkback.ko", ["depends=nothing-of-the-kind"]);
writeFileSync(path.join(folder, "modules.builtin"), "kernel/drivers/xen-evtchn.ko\n");

test("modules come behind those that they need, once each", () => {
  const names = modulesInOrder(folder, ["bridge", "stp"]).map(({ name }) => name);
  expect(names).toEqual(["llc", "stp", "bridge"]);
});

test("what is built into the kernel needs no module", () => {
  expect(modulesInOrder(folder, ["xen-evtchn"])).toEqual([]);
});

test("a module that is not there is named", () => {
  expect(() => modulesInOrder(folder, ["floppy"])).toThrow("has no module floppy");
  expect(() => modulesInOrder(folder, ["xen-blkback"])).toThrow("has no module nothing_of_the_kind");
});

test("dependencies are written with dashes or underscores, and are the same", () => {
  expect(dependencies(kernelModule(["depends=xen-privcmd,xen_evtchn"]))).toEqual(["xen_privcmd", "xen_evtchn"]);
});
