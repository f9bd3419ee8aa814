import { createHash } from "node:crypto";
import { createReadStream, createWriteStream, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { stat } from "node:fs/promises";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { replaceFile } from "../replace-file.ts";
import { tarHeader, tarPadding, writeTar } from "../tar.ts";
import type { FormatInput } from "./format.ts";

// OCI Image Format Specification 1.1
const manifestType = "application/vnd.oci.image.manifest.v1+json";
const indexType = "application/vnd.oci.image.index.v1+json";
const configType = "application/vnd.oci.image.config.v1+json";
const layerType = "application/vnd.oci.image.layer.v1.tar";

const kernelPath = "boot/kernel.elf";
const imagePath = "boot/image.bin";
const prefix = "com.urunc.unikernel.";

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  /** In bytes. */
  readonly size: number;
}

/**
 * Writes the folder `oci`, an OCI image layout: one layer with kernel and image, and what urunc has to know in three
 * places: the manifest's annotations (containerd), the labels (Docker's own store) and `/urunc.json` (neither). Push it
 * with `skopeo copy --dest-compress oci:DIR docker://…` and run it with the runtime `io.containerd.urunc.v2`.
 *
 * The layer is not compressed: compressors give other bytes from version to version and machine to machine.
 *
 * @returns the folder.
 */
export async function writeOci(input: FormatInput): Promise<string> {
  const folder = path.join(input.output, "oci");
  const blobs = path.join(folder, "blobs", "sha256");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(blobs, { recursive: true });
  const annotations = uruncAnnotations(input);
  const layer = await writeLayer(input, annotations, blobs);
  const json = (mediaType: string, value: unknown): Descriptor => {
    const bytes = Buffer.from(JSON.stringify(value));
    const digest = sha256(bytes);
    replaceFile(path.join(blobs, digest), bytes);
    return { mediaType, digest: `sha256:${digest}`, size: bytes.length };
  };
  const config = json(configType, {
    architecture: "amd64",
    os: "linux",
    config: { Cmd: wordsOf(input), Labels: annotations },
    rootfs: { type: "layers", diff_ids: [layer.digest] },
  });
  const manifest = json(manifestType, {
    schemaVersion: 2,
    mediaType: manifestType,
    config,
    layers: [layer],
    annotations,
  });
  const platform = { architecture: "amd64", os: "linux" };
  const names = { "org.opencontainers.image.ref.name": "latest" };
  replaceFile(
    path.join(folder, "index.json"),
    JSON.stringify({
      schemaVersion: 2,
      mediaType: indexType,
      manifests: [{ ...manifest, platform, annotations: names }],
    }),
  );
  replaceFile(path.join(folder, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  return folder;
}

/**
 * As urunc reads them (its pkg/unikontainers/config.go). Of the kinds of guest that it knows, `linux` is the one that
 * gets a kernel, a RAM disk and a command line and nothing else.
 */
function uruncAnnotations(input: FormatInput): Readonly<Record<string, string>> {
  return {
    [`${prefix}unikernelType`]: "linux",
    [`${prefix}hypervisor`]: "qemu",
    [`${prefix}binary`]: `/${kernelPath}`,
    [`${prefix}initrd`]: `/${imagePath}`,
    [`${prefix}cmdline`]: wordsOf(input).join(" "),
    [`${prefix}mountRootfs`]: "false",
  };
}

/** urunc makes `rdinit=` of the first word, and wants one. */
function wordsOf(input: FormatInput): readonly string[] {
  return [input.name, ...input.commandLine.split(" ").filter((word) => word !== "")];
}

async function writeLayer(
  input: FormatInput,
  annotations: Readonly<Record<string, string>>,
  blobs: string,
): Promise<Descriptor> {
  // In this file values are in base64.
  const encoded = Object.entries(annotations).map(([name, value]) => [name, Buffer.from(value).toString("base64")]);
  const urunc = Buffer.from(JSON.stringify(Object.fromEntries(encoded)));
  const hash = createHash("sha256");
  let size = 0;
  async function* archive(): AsyncGenerator<Uint8Array> {
    const { size: imageSize } = await stat(input.image);
    yield tarHeader({ name: imagePath, size: imageSize });
    yield* createReadStream(input.image, { highWaterMark: 1024 * 1024 });
    yield tarPadding(imageSize);
    yield* writeTar([
      { name: kernelPath, bytes: readFileSync(input.kernel), executable: true },
      { name: "urunc.json", bytes: urunc },
    ]);
  }
  async function* hashed(): AsyncGenerator<Uint8Array> {
    for await (const chunk of archive()) {
      hash.update(chunk);
      size += chunk.length;
      yield chunk;
    }
  }
  const temporary = path.join(blobs, "layer.tmp");
  await pipeline(hashed(), createWriteStream(temporary));
  const digest = hash.digest("hex");
  renameSync(temporary, path.join(blobs, digest));
  return { mediaType: layerType, digest: `sha256:${digest}`, size };
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
