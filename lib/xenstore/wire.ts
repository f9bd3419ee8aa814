/**
 * Messages of the xenstore protocol (`docs/misc/xenstore.txt`, `xs_wire.h` of Xen): a header of 16 bytes, four u32 in
 * little-endian order, and a payload.
 */

/** What a message is, request and reply alike. */
export const messageType = {
  control: 0,
  directory: 1,
  read: 2,
  getPermissions: 3,
  watch: 4,
  unwatch: 5,
  transactionStart: 6,
  transactionEnd: 7,
  introduce: 8,
  release: 9,
  getDomainPath: 10,
  write: 11,
  makeDirectory: 12,
  remove: 13,
  setPermissions: 14,
  watchEvent: 15,
  error: 16,
  isDomainIntroduced: 17,
  resume: 18,
  setTarget: 19,
  resetWatches: 21,
  directoryPart: 22,
  getFeature: 23,
  getQuota: 25,
  setQuota: 26,
} as const;

/** Names of errors as they go over the wire, and what they mean here. */
export type ErrorName =
  /** Malformed: a path, a number, a missing argument. */
  | "EINVAL"
  | "EACCES"
  /** A watch that is there already. */
  | "EEXIST"
  | "ENOENT"
  /** A bound of this client is reached. */
  | "ENOSPC"
  /** An answer longer than a message. */
  | "E2BIG"
  | "ENOSYS"
  /** A transaction that is to be tried again. */
  | "EAGAIN"
  /** A transaction inside of a transaction. */
  | "EBUSY"
  /** The server failed, and would fail again. */
  | "EIO"
  | "EPERM";

/** Bytes of a header, and of the longest payload. */
export const headerSize = 16;
export const longestPayload = 4096;

/** One message, reused for the next by {@link MessageReader}. */
export class Message {
  type = 0;
  request = 0;
  transaction = 0;
  payload: Uint8Array = nothing;
}

const nothing = new Uint8Array(0);

/** Bytes of text that is ASCII, one a character. */
export function bytesOf(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let index = 0; index < text.length; index++) bytes[index] = text.charCodeAt(index);
  return bytes;
}

/** The payload of a reply that says no more than that it is done. */
export const done: Uint8Array = bytesOf("OK\0");

/** Arguments that a call can have anywhere. */
const atOnce = 4096;

function characters(bytes: Uint8Array): string {
  // as: a call's arguments may come from anything that has a length and elements (ECMA-262, CreateListFromArrayLike).
  return String.fromCharCode.apply(undefined, bytes as unknown as number[]);
}

/** Text of bytes, one character a byte: what no path or number has stays what it is not. */
export function textOf(bytes: Uint8Array, from = 0, to: number = bytes.length): string {
  if (to - from <= atOnce) return characters(bytes.subarray(from, to));
  let text = "";
  for (let at = from; at < to; at += atOnce) text += characters(bytes.subarray(at, Math.min(at + atOnce, to)));
  return text;
}

/** A whole message. @throws RangeError when the payload is longer than {@link longestPayload}. */
export function encodeMessage(type: number, request: number, transaction: number, payload: Uint8Array): Uint8Array {
  if (payload.length > longestPayload) throw new RangeError(`a payload of ${payload.length} bytes is above 4096`);
  const bytes = new Uint8Array(headerSize + payload.length);
  writeWord(bytes, 0, type);
  writeWord(bytes, 4, request);
  writeWord(bytes, 8, transaction);
  writeWord(bytes, 12, payload.length);
  bytes.set(payload, headerSize);
  return bytes;
}

/** A view would cost more than the message. */
function writeWord(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}

/** Strings with a NUL behind each. */
export function encodeStrings(...strings: readonly string[]): Uint8Array {
  let length = 0;
  for (const each of strings) length += each.length + 1;
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const each of strings) {
    for (let index = 0; index < each.length; index++) bytes[at + index] = each.charCodeAt(index);
    at += each.length + 1;
  }
  return bytes;
}

/** The strings of a payload, each with a NUL behind it; what follows the last NUL does not count. */
export function decodeStrings(payload: Uint8Array): string[] {
  const strings: string[] = [];
  let start = 0;
  for (let index = 0; index < payload.length; index++) {
    if (payload[index] !== 0) continue;
    strings.push(textOf(payload, start, index));
    start = index + 1;
  }
  return strings;
}

/** Takes messages out of a stream of bytes that comes in pieces. It holds one message at most. */
export class MessageReader {
  readonly #held = new Uint8Array(headerSize + longestPayload);
  readonly #view = new DataView(this.#held.buffer);
  #length = 0;

  /** Bytes of a message that is not whole yet. */
  get partial(): Uint8Array {
    return this.#held.slice(0, this.#length);
  }

  /** Goes on after the beginning of a message, which another reader had. */
  restore(partial: Uint8Array): void {
    this.#held.set(partial.subarray(0, this.#held.length));
    this.#length = Math.min(partial.length, this.#held.length);
  }

  /**
   * Takes bytes until a message is whole.
   *
   * @param into is filled with the message; its payload is a copy, the caller's to keep
   * @returns how many bytes were taken, and whether `into` was filled; -1 when the header announces more than
   * {@link longestPayload}, after which the stream cannot go on
   */
  take(bytes: Uint8Array, offset: number, length: number, into: Message): { taken: number; whole: boolean } | -1 {
    let taken = 0;
    for (;;) {
      const wanted = this.#length < headerSize ? headerSize : headerSize + this.#view.getUint32(12, true);
      if (wanted > this.#held.length) return -1;
      if (this.#length >= headerSize && this.#length === wanted) {
        into.type = this.#view.getUint32(0, true);
        into.request = this.#view.getUint32(4, true);
        into.transaction = this.#view.getUint32(8, true);
        into.payload = this.#held.slice(headerSize, wanted);
        this.#length = 0;
        return { taken, whole: true };
      }
      const count = Math.min(wanted - this.#length, length - taken);
      if (count === 0) return { taken, whole: false };
      this.#held.set(bytes.subarray(offset + taken, offset + taken + count), this.#length);
      this.#length += count;
      taken += count;
    }
  }
}
