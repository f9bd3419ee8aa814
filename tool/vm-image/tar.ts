import { Buffer } from "node:buffer";
import { FormatError } from "./image-failure.ts";

const blockSize = 512;
const regularFile = "0";

/** One file for {@link writeTar}. */
export interface TarFile {
  /** Relative, 100 bytes at most. */
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly executable?: boolean;
}

/**
 * A tar archive (POSIX.1-1988 "ustar") of these files in this order: no dates, users or groups, so that the same files
 * give the same bytes.
 *
 * @throws RangeError for a name that is too long.
 */
export function* writeTar(files: readonly TarFile[]): Generator<Uint8Array> {
  for (const { name, bytes, executable } of files) {
    yield tarHeader({ name, size: bytes.length, ...(executable === undefined ? {} : { executable }) });
    yield bytes;
    yield tarPadding(bytes.length);
  }
  yield new Uint8Array(2 * blockSize);
}

/** What comes before the bytes of one file. `size` is in bytes, less than 8 GiB. @throws RangeError */
export function tarHeader(file: {
  readonly name: string;
  readonly size: number;
  readonly executable?: boolean;
}): Uint8Array {
  const { name, size, executable } = file;
  if (Buffer.byteLength(name) > 100) throw new RangeError(`"${name}" is too long for a tar archive`);
  if (size >= 8 ** 11) throw new RangeError(`"${name}" is too large for a tar archive`);
  const header = Buffer.alloc(blockSize);
  header.write(name, 0);
  header.write(executable === true ? "0000755\0" : "0000644\0", 100);
  header.write("0000000\0".repeat(2), 108);
  header.write(`${size.toString(8).padStart(11, "0")}\0`, 124);
  header.write("00000000000\0", 136);
  header.write(" ".repeat(8), 148);
  header.write(regularFile, 156);
  header.write("ustar\x0000", 257);
  header.write(`${checksum(header).toString(8).padStart(6, "0")}\0 `, 148);
  return header;
}

/** The zeros that come behind the bytes of one file. */
export function tarPadding(size: number): Uint8Array {
  return new Uint8Array((blockSize - (size % blockSize)) % blockSize);
}

/**
 * The contents of the regular file `name` in a tar archive, without a copy; `undefined` when it is not there.
 *
 * @throws FormatError for an archive that is damaged before that file.
 */
export function readTarFile(archive: Uint8Array, name: string): Uint8Array | undefined {
  const tar = Buffer.from(archive.buffer, archive.byteOffset, archive.length);
  for (let at = 0; at + blockSize <= tar.length;) {
    const header = tar.subarray(at, at + blockSize);
    if (header.every((byte) => byte === 0)) return undefined;
    const sum = Number.parseInt(textOf(header, 148, 8), 8);
    if (sum !== checksum(header)) throw new FormatError("the header of a file in the archive is damaged", at + 148);
    const size = Number.parseInt(textOf(header, 124, 12), 8);
    const start = at + blockSize;
    if (!(size >= 0 && start + size <= tar.length)) throw new FormatError("the archive ends inside a file", at + 124);
    const prefix = textOf(header, 257, 5) === "ustar" ? textOf(header, 345, 155) : "";
    const own = textOf(header, 0, 100);
    const type = String.fromCharCode(header[156] ?? 0);
    if ((prefix === "" ? own : `${prefix}/${own}`) === name && (type === regularFile || type === "\0")) {
      return archive.subarray(start, start + size);
    }
    at = start + Math.ceil(size / blockSize) * blockSize;
  }
  return undefined;
}

/** The sum of a header's bytes with spaces in the field of the sum itself. */
function checksum(header: Uint8Array): number {
  let sum = 8 * 32;
  for (let index = 0; index < blockSize; index++) if (index < 148 || index >= 156) sum += header[index] ?? 0;
  return sum;
}

function textOf(header: Buffer, at: number, length: number): string {
  const end = header.indexOf(0, at);
  return header.toString("utf8", at, end < 0 ? at + length : Math.min(end, at + length)).trim();
}
