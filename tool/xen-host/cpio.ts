import { Buffer } from "node:buffer";

/** One entry of an archive. Names are relative paths, and a folder comes before what is in it. */
export type CpioEntry =
  | { readonly kind: "file"; readonly name: string; readonly bytes: Uint8Array; readonly executable?: boolean }
  | { readonly kind: "directory"; readonly name: string }
  | { readonly kind: "link"; readonly name: string; readonly target: string };

const fileMode = 0o100644;
const programMode = 0o100755;
const directoryMode = 0o040755;
const linkMode = 0o120777;
/** Sizes are eight hexadecimal digits. */
const largest = 2 ** 32 - 1;

/**
 * A cpio archive in the "newc" form (Linux: Documentation/driver-api/early-userspace/buffer-format), as a kernel unpacks
 * it into its first root file system: all of root's, without dates, so that the same entries give the same bytes. Ends
 * at a multiple of 4 bytes, so that another archive may follow.
 *
 * @throws RangeError for a file of 4 GiB and more, and for a name that is absolute or has a NUL byte.
 */
export function* writeCpio(entries: readonly CpioEntry[]): Generator<Uint8Array> {
  let inode = 1;
  for (const entry of entries) {
    if (entry.kind === "file") {
      yield header(inode++, entry.executable === true ? programMode : fileMode, entry.bytes.length, entry.name);
      yield entry.bytes;
      yield padding(entry.bytes.length);
    } else if (entry.kind === "link") {
      const target = Buffer.from(entry.target);
      yield header(inode++, linkMode, target.length, entry.name);
      yield target;
      yield padding(target.length);
    } else yield header(inode++, directoryMode, 0, entry.name);
  }
  yield header(0, 0, 0, "TRAILER!!!");
}

/** The fields of an entry and its name, with what fills it up to a multiple of 4 bytes. */
function header(inode: number, mode: number, size: number, name: string): Uint8Array {
  if (size > largest) throw new RangeError(`"${name}" is too large for a cpio archive`);
  if (name.startsWith("/") || name.includes("\0")) throw new RangeError(`"${name}" is no name for a cpio archive`);
  const links = mode === directoryMode ? 2 : 1;
  const nameSize = Buffer.byteLength(name) + 1;
  // c_ino, c_mode, c_uid, c_gid, c_nlink, c_mtime, c_filesize, c_maj, c_min, c_rmaj, c_rmin, c_namesize, c_chksum
  const fields = [inode, mode, 0, 0, links, 0, size, 0, 0, 0, 0, nameSize, 0];
  const digits = fields.map((field) => field.toString(16).padStart(8, "0")).join("");
  const text = Buffer.from(`070701${digits}${name}\0`);
  return Buffer.concat([text, padding(text.length)]);
}

function padding(size: number): Uint8Array {
  return new Uint8Array((4 - (size % 4)) % 4);
}
