import { Buffer } from "node:buffer";
import { eachChunk, type Content } from "./content.ts";
import { ImageFailure } from "./image-failure.ts";

export const sectorSize = 512;

/** A file, by a path of names of at most eight characters and three: `EFI/BOOT/BOOTX64.EFI`. */
export interface FatFile {
  readonly path: string;
  readonly content: Content;
}

export interface FatRequest {
  /** Directories above them are made. */
  readonly files: readonly FatFile[];
  readonly volumeId: number;
  /** At most 11 characters, in capitals. */
  readonly label: string;
  /** The sector of the disk at which the file system begins. */
  readonly hiddenSectors: number;
}

/** A file system whose every sector has its place. */
export interface FatVolume {
  /** Of {@link sectorSize} bytes. */
  readonly sectors: number;
  /** Calls `write` with what is not zero, and its place in bytes. */
  write(write: (bytes: Uint8Array, at: number) => void): void;
}

const reservedLeast = 32;
const tables = 2;
const rootCluster = 2;
const firstFreeCluster = 3;
/** With fewer clusters a file system is FAT16, whatever it says. */
const leastClusters = 65_525;
/** Room that stays free, in bytes: somebody may want to edit a file. */
const spare = 1024 * 1024;
const endOfChain = 0x0fffffff;
const directoryAttribute = 0x10;
const fileAttribute = 0x20;
const labelAttribute = 0x08;
/** 1 January 1980. */
const firstDate = 0x21;

interface Node {
  readonly name: string;
  /** Of a directory; in order of their names. */
  readonly children: Map<string, Node> | undefined;
  readonly content: Content | undefined;
  cluster: number;
}

/**
 * A FAT32 file system (Microsoft's "FAT File System Specification" 1.03) with these files, each in one piece. The same
 * files give the same bytes.
 *
 * @throws ImageFailure for names that are too long for it, and files of 4 GiB or more.
 */
export function layOutFat32(request: FatRequest): FatVolume {
  const root = treeOf(request.files);
  const nodes = [...walk(root)];
  const sizeOf = (node: Node): number => node.content?.size ?? directorySize(node, root);
  const bytes = nodes.reduce((sum, node) => sum + sizeOf(node), spare);
  const clusterSectors = [64, 32, 16, 8, 4, 2].find((each) => bytes / (each * sectorSize) > leastClusters + 100) ?? 1;
  const clusterSize = clusterSectors * sectorSize;
  let next = rootCluster;
  const chains: { readonly node: Node; readonly count: number }[] = [];
  for (const node of nodes) {
    const count = Math.ceil(sizeOf(node) / clusterSize);
    if (count > 0) node.cluster = next;
    chains.push({ node, count });
    next += count;
  }
  const used = next - rootCluster;
  const clusters = Math.max(used + Math.ceil(spare / clusterSize), leastClusters + 100);
  const tableSectors = Math.ceil(((clusters + 2) * 4) / sectorSize);
  // Data begin at a multiple of 4 KiB.
  const reserved = Math.ceil((reservedLeast + tables * tableSectors) / 8) * 8 - tables * tableSectors;
  const dataAt = (reserved + tables * tableSectors) * sectorSize;
  const sectors = reserved + tables * tableSectors + clusters * clusterSectors;
  if (sectors > 0xffffffff) throw new ImageFailure("the files are too large for a FAT32 file system");
  return {
    sectors,
    write(write) {
      const boot = bootSector(request, { clusterSectors, reserved, sectors, tableSectors });
      const info = informationSector(clusters - used, next);
      for (const at of [0, 6]) {
        write(boot, at * sectorSize);
        write(info, (at + 1) * sectorSize);
      }
      const table = Buffer.alloc((used + rootCluster) * 4);
      table.writeUInt32LE(0x0ffffff8, 0);
      table.writeUInt32LE(endOfChain, 4);
      for (const { node, count } of chains) {
        for (let index = 0; index < count; index++) {
          const cluster = node.cluster + index;
          table.writeUInt32LE(index + 1 < count ? cluster + 1 : endOfChain, cluster * 4);
        }
      }
      for (let index = 0; index < tables; index++) write(table, (reserved + index * tableSectors) * sectorSize);
      for (const { node } of chains) {
        const at = dataAt + (node.cluster - rootCluster) * clusterSize;
        if (node.content !== undefined) eachChunk(node.content, (chunk, offset) => write(chunk, at + offset));
        else write(directoryBytes(node, root, request.label), at);
      }
    },
  };
}

function treeOf(files: readonly FatFile[]): Node {
  const root: Node = { name: "", children: new Map(), content: undefined, cluster: rootCluster };
  for (const file of files) {
    const parts = file.path.split("/");
    let folder = root;
    for (const [index, name] of parts.entries()) {
      if (!/^[A-Za-z0-9_-]{1,8}(\.[A-Za-z0-9_-]{1,3})?$/.test(name)) {
        throw new ImageFailure(`"${file.path}" is no path on a FAT file system: names are 8 characters and 3`);
      }
      const last = index === parts.length - 1;
      const before = folder.children?.get(name.toUpperCase());
      if (before !== undefined && (last || before.children === undefined)) {
        throw new ImageFailure(`"${file.path}" is to be on the disk twice`);
      }
      const node: Node = before ?? {
        name,
        children: last ? undefined : new Map<string, Node>(),
        content: last ? file.content : undefined,
        cluster: 0,
      };
      folder.children?.set(name.toUpperCase(), node);
      folder = node;
    }
    if (file.content.size > 0xffffffff) throw new ImageFailure(`"${file.path}" is too large for a FAT file system`);
  }
  return root;
}

/** Directories before their files, so that the short chains come first. */
function* walk(node: Node): Generator<Node> {
  yield node;
  for (const child of node.children?.values() ?? []) if (child.children !== undefined) yield* walk(child);
  for (const child of node.children?.values() ?? []) if (child.children === undefined) yield child;
}

function directorySize(node: Node, root: Node): number {
  // The label, or the two entries for itself and the one above.
  return ((node.children?.size ?? 0) + (node === root ? 1 : 2)) * 32;
}

function directoryBytes(node: Node, root: Node, label: string): Uint8Array {
  const entries: Uint8Array[] = [];
  if (node === root) {
    entries.push(directoryEntry(label.padEnd(11), labelAttribute, 0, 0, 0));
  } else {
    const above = [...walk(root)].find((each) => [...(each.children?.values() ?? [])].includes(node)) ?? root;
    entries.push(directoryEntry(".".padEnd(11), directoryAttribute, 0, node.cluster, 0));
    // The root is cluster 0 here, whatever its place.
    entries.push(directoryEntry("..".padEnd(11), directoryAttribute, 0, above === root ? 0 : above.cluster, 0));
  }
  for (const child of node.children?.values() ?? []) {
    const [base = "", extension = ""] = child.name.split(".");
    const short = base.toUpperCase().padEnd(8) + extension.toUpperCase().padEnd(3);
    const lower = (isLower(base) ? 0x08 : 0) | (isLower(extension) ? 0x10 : 0);
    const attribute = child.children === undefined ? fileAttribute : directoryAttribute;
    entries.push(directoryEntry(short, attribute, lower, child.cluster, child.content?.size ?? 0));
  }
  return Buffer.concat(entries);
}

function isLower(text: string): boolean {
  return text !== text.toUpperCase();
}

function directoryEntry(name: string, attribute: number, lower: number, cluster: number, size: number): Buffer {
  const entry = Buffer.alloc(32);
  entry.write(name, 0, 11, "latin1");
  entry.writeUInt8(attribute, 11);
  entry.writeUInt8(lower, 12);
  for (const at of [16, 18, 24]) entry.writeUInt16LE(firstDate, at);
  entry.writeUInt16LE(cluster >>> 16, 20);
  entry.writeUInt16LE(cluster & 0xffff, 26);
  entry.writeUInt32LE(size, 28);
  return entry;
}

function bootSector(
  request: FatRequest,
  layout: {
    readonly clusterSectors: number;
    readonly reserved: number;
    readonly sectors: number;
    readonly tableSectors: number;
  },
): Buffer {
  const boot = Buffer.alloc(sectorSize);
  boot.write("\xeb\x58\x90TESSERAE", 0, "latin1");
  boot.writeUInt16LE(sectorSize, 11);
  boot.writeUInt8(layout.clusterSectors, 13);
  boot.writeUInt16LE(layout.reserved, 14);
  boot.writeUInt8(tables, 16);
  boot.writeUInt8(0xf8, 21);
  boot.writeUInt16LE(63, 24);
  boot.writeUInt16LE(255, 26);
  boot.writeUInt32LE(request.hiddenSectors, 28);
  boot.writeUInt32LE(layout.sectors, 32);
  boot.writeUInt32LE(layout.tableSectors, 36);
  boot.writeUInt32LE(rootCluster, 44);
  boot.writeUInt16LE(1, 48);
  boot.writeUInt16LE(6, 50);
  boot.writeUInt8(0x80, 64);
  boot.writeUInt8(0x29, 66);
  boot.writeUInt32LE(request.volumeId >>> 0, 67);
  boot.write(request.label.padEnd(11), 71, 11, "latin1");
  boot.write("FAT32   ", 82, "latin1");
  // Whoever boots this sector by mistake stops: hlt, jmp back.
  boot.set([0xf4, 0xeb, 0xfd], 90);
  boot.writeUInt16LE(0xaa55, 510);
  return boot;
}

function informationSector(free: number, next: number): Buffer {
  const info = Buffer.alloc(sectorSize);
  info.write("RRaA", 0);
  info.write("rrAa", 484);
  info.writeUInt32LE(free, 488);
  info.writeUInt32LE(Math.max(next, firstFreeCluster), 492);
  info.writeUInt32LE(0xaa550000, 508);
  return info;
}
