import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { sampleElf } from "../elf-file.fuzz.ts";
import { readTarFile } from "../tar.ts";
import { writeFirecracker } from "./firecracker.ts";
import type { FormatInput } from "./format.ts";
import { libvirtDomain, writeLibvirt } from "./libvirt.ts";
import { writeOci } from "./oci.ts";
import { withSegment } from "./single-elf.ts";
import { because, withoutPrograms } from "../../../test/programs.ts";

let input: FormatInput;
beforeEach(() => {
  const output = mkdtempSync(path.join(tmpdir(), "tesserae-format-"));
  input = {
    name: "hello",
    kernel: path.join(output, "kernel.elf"),
    image: path.join(output, "image.bin"),
    output,
    commandLine: `ipv4=10.0.0.2/24 note="a & b <c>"`,
    memory: 192,
    interfaces: 1,
    disks: 0,
  };
  writeFileSync(input.kernel, "a kernel");
  writeFileSync(input.image, Buffer.alloc(5000, 7));
});
afterEach(() => rmSync(input.output, { recursive: true }));

const json = (file: string): unknown => JSON.parse(readFileSync(file, "utf8"));

test("firecracker's configuration names what lies beside it", () => {
  expect(json(writeFirecracker(input))).toEqual({
    "boot-source": { kernel_image_path: "kernel.elf", initrd_path: "image.bin", boot_args: input.commandLine },
    drives: [],
    "machine-config": { vcpu_count: 1, mem_size_mib: 192 },
    "network-interfaces": [{ iface_id: "eth0", host_dev_name: "tap0" }],
    entropy: {},
  });
});

describe("a libvirt domain", () => {
  test("escapes what comes from outside", () => {
    const domain = libvirtDomain({ ...input, name: `a<b>&"c"\u0000` });
    expect(domain).toContain("<name>a&lt;b&gt;&amp;&quot;c&quot;\ufffd</name>");
    expect(domain).toContain(`<cmdline>ipv4=10.0.0.2/24 note=&quot;a &amp; b &lt;c&gt;&quot;</cmdline>`);
  });

  test("has no command line when there is none", () => {
    expect(libvirtDomain({ ...input, commandLine: "" })).not.toContain("cmdline");
  });

  const validate = withoutPrograms("virt-xml-validate");
  test.skipIf(validate !== undefined)(`is valid to libvirt${because(validate)}`, () => {
    const checked = spawnSync("virt-xml-validate", [writeLibvirt(input), "domain"], { encoding: "utf8" });
    expect(checked.stdout + checked.stderr).toContain("validates");
  });
});

describe("an OCI image layout", () => {
  interface Descriptor {
    readonly mediaType: string;
    readonly digest: string;
    readonly size: number;
  }

  test("names every blob by its digest and size", async () => {
    const folder = await writeOci(input);
    const blobs = path.join(folder, "blobs", "sha256");
    const blob = ({ digest, size }: Descriptor): Buffer => {
      const bytes = readFileSync(path.join(blobs, digest.slice("sha256:".length)));
      expect(bytes.length).toBe(size);
      return bytes;
    };
    for (const name of readdirSync(blobs)) {
      expect(
        createHash("sha256")
          .update(readFileSync(path.join(blobs, name)))
          .digest("hex"),
      ).toBe(name);
    }
    expect(json(path.join(folder, "oci-layout"))).toEqual({ imageLayoutVersion: "1.0.0" });
    const index = json(path.join(folder, "index.json")) as { readonly manifests: readonly Descriptor[] };
    const manifest = JSON.parse(blob(index.manifests[0]!).toString()) as {
      readonly config: Descriptor;
      readonly layers: readonly Descriptor[];
      readonly annotations: Readonly<Record<string, string>>;
    };
    const annotations = {
      "com.urunc.unikernel.unikernelType": "linux",
      "com.urunc.unikernel.hypervisor": "qemu",
      "com.urunc.unikernel.binary": "/boot/kernel.elf",
      "com.urunc.unikernel.initrd": "/boot/image.bin",
      "com.urunc.unikernel.cmdline": `hello ${input.commandLine}`,
      "com.urunc.unikernel.mountRootfs": "false",
    };
    expect(manifest.annotations).toEqual(annotations);
    const config = JSON.parse(blob(manifest.config).toString()) as {
      readonly config: { readonly Labels: unknown };
      readonly rootfs: { readonly diff_ids: readonly string[] };
    };
    expect(config.config.Labels).toEqual(annotations);
    const layer = blob(manifest.layers[0]!);
    expect(config.rootfs.diff_ids).toEqual([manifest.layers[0]!.digest]);
    expect(readTarFile(layer, "boot/kernel.elf")).toEqual(Buffer.from("a kernel"));
    expect(readTarFile(layer, "boot/image.bin")).toEqual(Buffer.alloc(5000, 7));
    const urunc = JSON.parse(Buffer.from(readTarFile(layer, "urunc.json")!).toString()) as Record<string, string>;
    const decoded = Object.entries(urunc).map(([name, value]) => [name, Buffer.from(value, "base64").toString()]);
    expect(Object.fromEntries(decoded)).toEqual(annotations);
  });

  test("is the same for the same files", async () => {
    const first = readFileSync(path.join(await writeOci(input), "index.json"), "utf8");
    expect(readFileSync(path.join(await writeOci(input), "index.json"), "utf8")).toBe(first);
  });
});

test("a kernel without room for another segment is refused", () => {
  expect(() => withSegment(sampleElf({}), 4096)).toThrow("no room for another segment");
});
