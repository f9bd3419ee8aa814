import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  copyFileSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildImage, type ImageReport, type ImageRequest } from "./build-image.ts";
import { findCompiler } from "./compiler.ts";
import { bytesContent } from "./content.ts";
import { ElfFile } from "./elf-file.ts";
import { readImage } from "./image-reader.ts";
import { obtainNode, pinnedNode, userCache } from "./node-runtime.ts";
import { sizeTable } from "./sizes.ts";
import { skipping, withoutPrograms } from "../../test/programs.ts";

const firmware = "/usr/share/OVMF/OVMF_CODE_4M.fd";

/** What is needed to build an image at all; then, to boot one. */
const unbuildable = await lack(async () => {
  await findCompiler();
  await obtainNode();
});
const unbootable = unbuildable || withoutPrograms("qemu-system-x86_64") !== undefined;
const noFirmware = unbootable || withoutPrograms(firmware) !== undefined;
const noMtools = unbootable || withoutPrograms("mcopy") !== undefined;

/** Says why something is skipped; in CI, where nothing is, it throws. */
async function lack(attempt: () => void | Promise<void>): Promise<boolean> {
  try {
    await attempt();
    return false;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    skipping(reason, error);
    console.warn(`skipped: ${reason}`);
    return true;
  }
}

const application = `
import { readFileSync, readdirSync } from "node:fs";
import { greeting } from "./lib/greeting.mjs";
console.log(greeting, process.version, process.argv.slice(1).join(" "));
console.log("command line:", readFileSync("/proc/cmdline", "latin1").trim());
console.log("root:", readdirSync("/").join(" "));
console.log("language:", new Intl.DateTimeFormat("de", { month: "long" }).format(0));
process.exit(7);
`;

let folder = "";
let report: ImageReport;

/** A second name for a file; where the file systems differ, a copy. */
function linkOrCopy(file: string, other: string): void {
  try {
    linkSync(file, other);
  } catch {
    copyFileSync(file, other);
  }
}

function request(output: string): ImageRequest {
  return {
    bundle: path.join(folder, "app"),
    output: path.join(folder, output),
    cache: path.join(userCache(), "kernel"),
    name: "hello",
    commandLine: "answer=42",
    formats: ["direct", "elf", "firecracker", "oci", "disk"],
  };
}

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "tesserae-image-"));
  mkdirSync(path.join(folder, "app/lib"), { recursive: true });
  writeFileSync(path.join(folder, "app/main.mjs"), application);
  writeFileSync(path.join(folder, "app/lib/greeting.mjs"), `export const greeting = "hello from";\n`);
  if (!unbuildable) report = await buildImage(request("out"));
}, 180_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.skipIf(unbuildable)("an image", () => {
  test("has what Node.js and the application need, and says what it is made of", () => {
    const image = readImage(bytesContent(readFileSync(report.image.file)));
    const text = (file: string): string => Buffer.from(image.bytes(image.find(file)!)).toString();
    expect(text("/app/main.mjs")).toBe(application);
    expect(text("/boot/argv").split("\0")).toEqual([
      "/usr/bin/node",
      "--max-old-space-size=@heap@",
      "--max-semi-space-size=@semi@",
      "--v8-pool-size=0",
      "/app/main.mjs",
      "",
    ]);
    expect(text("/boot/environ").split("\0")).toContain("HOME=/tmp");
    expect(image.find("/tmp")?.mode).toBe(0o040755);
    const elf = new ElfFile(image.bytes(image.find("/usr/bin/node")!));
    expect(image.find(elf.interpreter!)?.mode).toBe(0o100755);
    const manifest = JSON.parse(text("/boot/manifest.json")) as Record<string, Record<string, unknown>>;
    const main = createHash("sha256").update(application).digest("hex");
    expect(manifest["application"]!["/app/main.mjs"]).toEqual({ size: application.length, sha256: main });
    expect(manifest["node"]!["version"]).toBe(report.node);
    const outside = JSON.parse(readFileSync(report.manifest, "utf8")) as Record<string, Record<string, unknown>>;
    expect(outside["result"]).toEqual({ size: report.image.size, sha256: report.image.sha256 });
    expect(text("/boot/manifest.json")).not.toContain(folder);
  });

  test("is as large as its parts", () => {
    const sum = report.sizes.reduce((total, { image }) => total + image, 0);
    expect(sum).toBe(report.image.size + report.kernel.size);
    expect(report.sizes.every(({ image }) => image >= 0)).toBe(true);
    expect(sizeTable(report.sizes).at(-1)).toMatch(/in all +[\d,]+ KiB +[\d,]+ KiB/);
  });

  test("is the same, bit for bit, in every form, from other folders, whatever is kept of earlier builds", async () => {
    // A cache that has Node.js as it was fetched, and nothing made of it.
    const users = path.join(folder, "deeper/cache");
    mkdirSync(users, { recursive: true });
    const fetched = readdirSync(userCache()).find((name) => name.startsWith(`node-${pinnedNode}-`)) ?? "";
    linkOrCopy(path.join(userCache(), fetched), path.join(users, fetched));
    const cold = { ...request("deeper/again"), cache: path.join(folder, "cache-2"), userCache: users };
    const again = await buildImage(cold);
    const contents = (built: ImageReport): Readonly<Record<string, string>> => {
      const { oci, ...files } = built.formats;
      const all = { ...files, image: built.image.file, manifest: built.manifest, oci: `${oci ?? ""}/index.json` };
      return Object.fromEntries(
        Object.entries(all).map(([name, file]) => [
          name,
          createHash("sha256").update(readFileSync(file)).digest("hex"),
        ]),
      );
    };
    expect(contents(again)).toEqual(contents(report));
    expect(readdirSync(path.join(users, "prepared"))).toHaveLength(1);
    const warm = await buildImage({ ...cold, formats: [] });
    expect([warm.kernel.cached, warm.image.sha256]).toEqual([true, report.image.sha256]);
    expect(readFileSync(warm.manifest)).toEqual(readFileSync(report.manifest));
    expect(warm.sizes).toEqual(report.sizes);
    rmSync(path.join(folder, "deeper"), { recursive: true });
  }, 180_000);

  test.each<[string, Partial<ImageRequest>, string]>([
    ["no application", { bundle: "/nowhere" }, `there is no application "/nowhere"`],
    ["an argument with a NUL byte", { argv: ["/usr/bin/node", "a\0b"] }, "has a NUL byte"],
    ["a program without a path", { argv: ["node"] }, "does not begin with the absolute path"],
    ["a variable without a value", { environment: ["HOME"] }, `environment: "HOME" is not NAME=value`],
    ["a locale that is none", { icu: ["de_DE!"] }, "is no locale"],
    ["a program that is none", { node: "/etc/passwd" }, "Node.js unknown: this is no ELF file"],
    [
      "a file in a place that is taken",
      { files: { "/boot/argv": "/etc/passwd" } },
      `"/boot/argv" is to be in the image`,
    ],
  ])("is refused for %s", async (_, wrong, why) => {
    await expect(buildImage({ ...request("wrong"), formats: [], ...wrong })).rejects.toThrow(why);
  });
});

/** Starts a machine and waits for its end. @returns what it wrote on the serial console, and the application's status. */
async function boot(...argv: readonly string[]): Promise<{ readonly console: string; readonly status: number }> {
  const machine = spawn(
    "qemu-system-x86_64",
    [
      ...["-accel", "tcg", "-cpu", "max", "-m", "256", "-nodefaults", "-no-user-config", "-display", "none"],
      ...["-serial", "stdio", "-no-reboot", "-device", "isa-debug-exit,iobase=0xf4,iosize=4", ...argv],
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const hung = setTimeout(() => machine.kill("SIGKILL"), 150_000);
  let console = "";
  machine.stdout.setEncoding("latin1").on("data", (text: string) => (console += text));
  const status = await new Promise<number | null>((resolve) => machine.once("close", resolve));
  clearTimeout(hung);
  return { console, status: ((status ?? 0) - 1) / 2 };
}

function expectHello(ran: { readonly console: string; readonly status: number }, commandLine: string): void {
  expect(ran.console).toContain(`hello from v${report.node} /app/main.mjs`);
  expect(ran.console).toContain(`command line: ${commandLine}`);
  expect(ran.console).toContain("root: app boot etc lib lib64 tmp usr");
  expect(ran.console).toContain("language: January");
  expect(ran.status).toBe(7);
}

describe.skipIf(unbootable)("booting", { timeout: 180_000 }, () => {
  test("kernel and image as two files", async () => {
    const machine = ["-M", "microvm,acpi=off", "-global", "virtio-mmio.force-legacy=false"];
    const files = ["-kernel", report.kernel.file, "-initrd", report.image.file, "-append", "answer=42"];
    expectHello(await boot(...machine, ...files), "answer=42");
  });

  test("one ELF file", async () => {
    expectHello(await boot("-M", "q35", "-kernel", report.formats.elf!, "-append", "answer=42"), "answer=42");
  });

  const disk = (file: string): readonly string[] => ["-drive", `file=${file},format=raw,if=virtio,snapshot=on`];

  test("a disk on a BIOS machine with a SATA controller", async () => {
    const sata = [
      "-drive",
      `file=${report.formats.disk!},format=raw,if=none,id=d,snapshot=on`,
      "-device",
      "ide-hd,drive=d",
    ];
    expectHello(await boot("-M", "q35", ...sata), "answer=42");
  });

  test.skipIf(noFirmware)("a disk on a UEFI machine", async () => {
    const flash = ["-drive", `if=pflash,format=raw,unit=0,readonly=on,file=${firmware}`];
    expectHello(await boot("-M", "q35", ...flash, ...disk(report.formats.disk!)), "answer=42");
  });

  test.skipIf(noMtools)("a disk whose command line was edited", async () => {
    const edited = path.join(folder, "edited.img");
    writeFileSync(edited, readFileSync(report.formats.disk!));
    const text = path.join(folder, "cmdline.txt");
    writeFileSync(text, `# ${"a long comment ".repeat(100)}\r\nanswer=43   more=yes # even more\r\n\r\nlast=1`);
    const copied = spawnSync("mcopy", ["-o", "-i", `${edited}@@1M`, text, "::cmdline.txt"], { encoding: "utf8" });
    expect(copied.stderr).toBe("");
    expectHello(await boot("-M", "pc", ...disk(edited)), "answer=43 more=yes last=1");
  });

  test("a disk without its image says so", async () => {
    const broken = readFileSync(report.formats.disk!);
    broken.write("IMAGE   BAK", broken.indexOf("IMAGE   BIN"));
    const file = path.join(folder, "broken.img");
    writeFileSync(file, broken);
    const ran = await boot("-M", "pc", ...disk(file));
    expect(ran.console).toContain("[loader] there is no image.bin on the disk\r\n");
    expect(ran.status).toBe(103);
  });
});
