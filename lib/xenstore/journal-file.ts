/**
 * A journal as one run of bytes: parts of a kind, a length, a checksum and so many bytes. It is whole up to the first part
 * that is not: what was being written when its writer was killed.
 */
import type { JournalFile } from "@tesserae/device/journal-file";
import { crc32 } from "@tesserae/wire/crc32";
import { MemoryKeeper, type Keeper, type Kept } from "./keeper.ts";

const kinds = { state: 0x5453_5354, record: 0x5453_5245 } as const;
const headSize = 12;

/** A part: a state that takes the place of all before, or a record. */
export function frameRecord(kind: keyof typeof kinds, bytes: Uint8Array): Uint8Array {
  const framed = new Uint8Array(headSize + bytes.length);
  const view = new DataView(framed.buffer);
  view.setUint32(0, kinds[kind], true);
  view.setUint32(4, bytes.length, true);
  view.setUint32(8, crc32(bytes), true);
  framed.set(bytes, headSize);
  return framed;
}

/** All that is whole, and where it ends. Never throws: what makes no sense is where it ends. */
export function readJournal(bytes: Uint8Array): Kept & { readonly end: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let state: Uint8Array | undefined;
  let records: Uint8Array[] = [];
  let at = 0;
  while (bytes.length - at >= headSize) {
    const kind = view.getUint32(at, true);
    const from = at + headSize;
    const to = from + view.getUint32(at + 4, true);
    if (to > bytes.length || (kind !== kinds.state && kind !== kinds.record)) break;
    const part = bytes.slice(from, to);
    if (crc32(part) !== view.getUint32(at + 8, true)) break;
    if (kind === kinds.record) records.push(part);
    else {
      state = part;
      records = [];
    }
    at = to;
  }
  return { state, records, end: at };
}

/** Keeps in a file, for another program that goes on when this one was killed; without a file, in memory. */
export function createFileKeeper({ file }: { readonly file: JournalFile | undefined }): Keeper {
  return file === undefined ? new MemoryKeeper() : new FileKeeper(file);
}

class FileKeeper implements Keeper {
  readonly #file: JournalFile;
  length: number;

  constructor(file: JournalFile) {
    this.#file = file;
    const bytes = file.read();
    const { end, records } = readJournal(bytes);
    // What follows was being written.
    if (end < bytes.length) file.replace(bytes.subarray(0, end));
    this.length = records.reduce((sum, each) => sum + each.length, 0);
  }

  kept(): Kept {
    return readJournal(this.#file.read());
  }

  append(record: Uint8Array): void {
    this.length += record.length;
    this.#file.append(frameRecord("record", record));
  }

  begin(state: Uint8Array): void {
    this.length = 0;
    this.#file.replace(frameRecord("state", state));
  }
}
