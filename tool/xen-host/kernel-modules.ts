import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { ElfFile } from "@tesserae/vm-image/elf-file";
import { ImageFailure, ofFile } from "@tesserae/vm-image/image-failure";

/** A module of the Linux kernel. */
export interface KernelModule {
  /** With underscores, as modules name each other: `xen_netback`. */
  readonly name: string;
  readonly bytes: Buffer;
}

/**
 * The modules named and those that they depend on, each behind those that it needs, which is the order to load them in.
 *
 * @param folder `lib/modules/VERSION`, as the kernel's package has it: without the lists that depmod writes
 * @throws ImageFailure naming a module that is not there and not built into the kernel either.
 */
export function modulesInOrder(folder: string, names: readonly string[]): readonly KernelModule[] {
  const files = new Map<string, string>();
  for (const file of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    if (file.endsWith(".ko")) files.set(moduleName(file), path.join(folder, file));
  }
  const builtinList = path.join(folder, "modules.builtin");
  const builtin = existsSync(builtinList) ? readFileSync(builtinList, "utf8").split("\n").map(moduleName) : [];
  const found = new Map<string, KernelModule>();
  const visit = (name: string): void => {
    if (found.has(name) || builtin.includes(name)) return;
    const file = files.get(name);
    if (file === undefined) throw new ImageFailure(`the kernel in ${folder} has no module ${name}`);
    const bytes = readFileSync(file);
    for (const needed of ofFile(file, () => dependencies(bytes))) visit(needed);
    found.set(name, { name, bytes });
  };
  for (const name of names) visit(moduleName(name));
  return [...found.values()];
}

/** The modules that one needs, as its section `.modinfo` lists them. @throws FormatError */
export function dependencies(bytes: Buffer): readonly string[] {
  const section = new ElfFile(bytes).sections().find(({ name }) => name === ".modinfo");
  if (section === undefined) return [];
  const fields = bytes.toString("latin1", section.offset, section.offset + section.size).split("\0");
  return fields
    .filter((field) => field.startsWith("depends="))
    .flatMap((field) => field.slice("depends=".length).split(","))
    .filter((name) => name !== "")
    .map(moduleName);
}

function moduleName(file: string): string {
  return path.basename(file, ".ko").replaceAll("-", "_");
}
