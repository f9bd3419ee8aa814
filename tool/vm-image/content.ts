import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { ImageFailure } from "./image-failure.ts";

/** Bytes that need not be in memory all at once. */
export interface Content {
  /** In bytes. */
  readonly size: number;
  /**
   * The bytes [offset, offset + length), which must lie inside. The result is the caller's until the next call.
   *
   * @throws RangeError for a range that is not inside; ImageFailure when the file has become shorter.
   */
  read(offset: number, length: number): Uint8Array;
}

/** What is in memory already, without a copy. */
export function bytesContent(bytes: Uint8Array): Content {
  return {
    size: bytes.length,
    read(offset, length) {
      checkRange(offset, length, bytes.length);
      return bytes.subarray(offset, offset + length);
    },
  };
}

/** A file that stays open until `close()`. */
export interface FileContent extends Content {
  close(): void;
}

/** The bytes of a file, read when they are asked for. @throws the system's error when it cannot be opened. */
export function fileContent(file: string): FileContent {
  const fd = openSync(file, "r");
  const size = fstatSync(fd).size;
  let buffer = new Uint8Array(0);
  return {
    size,
    read(offset, length) {
      checkRange(offset, length, size);
      if (buffer.length < length) buffer = new Uint8Array(length);
      for (let done = 0; done < length;) {
        const got = readSync(fd, buffer, done, length - done, offset + done);
        if (got === 0) throw new ImageFailure(`${file} became shorter while it was read`);
        done += got;
      }
      return buffer.subarray(0, length);
    },
    close: () => closeSync(fd),
  };
}

/** Calls `each` with all bytes in order, a megabyte at a time: offsets are multiples of that. */
export function eachChunk(content: Content, each: (bytes: Uint8Array, offset: number) => void): void {
  const most = 1024 * 1024;
  for (let offset = 0; offset < content.size; offset += most) {
    each(content.read(offset, Math.min(most, content.size - offset)), offset);
  }
}

function checkRange(offset: number, length: number, size: number): void {
  if (offset < 0 || length < 0 || offset + length > size) {
    throw new RangeError(`bytes [${String(offset)}, ${String(offset + length)}) are not inside 0 to ${String(size)}`);
  }
}
