/** The TCP header (RFC 9293 §3.1) and its options (§3.2), as bytes and as records. */

import { bits, flags, layout, u16, u32, type RecordOf } from "@tesserae/wire/layout";
import { readInt32, writeInt32 } from "@tesserae/wire/field";
import { failed, type Parsed } from "@tesserae/wire/parse-error";

/** The fixed part of the header. */
export const header = layout("tcp", {
  sourcePort: u16(),
  destinationPort: u16(),
  sequence: u32(),
  acknowledgement: u32(),
  dataOffset: bits(4),
  reserved: bits(4),
  flags: flags(["cwr", "ece", "urg", "ack", "psh", "rst", "syn", "fin"]),
  window: u16(),
  checksum: u16({ hex: true }),
  urgentPointer: u16(),
});

export const flagFin = 0x01;
export const flagSyn = 0x02;
export const flagRst = 0x04;
export const flagPsh = 0x08;
export const flagAck = 0x10;
export const flagUrg = 0x20;
export const flagEce = 0x40;
export const flagCwr = 0x80;

/** Bytes in a header without options. */
export const headerSize = 20;
/** Bytes that options can take. */
export const maxOptions = 40;
/** Bytes of the timestamps option with the padding that aligns it (RFC 7323 appendix A). */
export const timestampSize = 12;
/** Bytes of the largest SACK option, four blocks without timestamps, with its padding (RFC 2018 §3). */
export const maxSackSize = 36;

const kindEnd = 0;
const kindNop = 1;
const kindMss = 2;
const kindWindowScale = 3;
const kindSackPermitted = 4;
const kindSack = 5;
const kindTimestamp = 8;
const kindUserTimeout = 28;
const kindFastOpen = 34;

/** Bytes of a Fast Open cookie, at least and at most (RFC 7413 §4.1.1). */
export const minFastOpenCookie = 4;
export const maxFastOpenCookie = 16;

/** RFC 7323 §2.3: a larger shift counts as this. */
export const maxWindowShift = 14;

/** The options of one segment; absent numbers are −1. Reused from segment to segment. */
export class SegmentOptions {
  /** Maximum segment size, bytes; −1 when absent. */
  mss = -1;
  /** Window scale shift, 0 to 14; −1 when absent. */
  windowShift = -1;
  sackPermitted = false;
  hasTimestamp = false;
  /** TSval and TSecr, signed 32-bit. */
  timestampValue = 0;
  timestampEcho = 0;
  /** The user timeout (RFC 5482), as its sixteen bits; 0 when absent, or to be ignored. */
  userTimeout = 0;
  /** How long the Fast Open cookie is (RFC 7413 §4.1.1): 4 to 16 bytes, 0 for a request of one, −1 when absent. */
  fastOpen = -1;
  readonly fastOpenCookie: Uint8Array = new Uint8Array(maxFastOpenCookie);
  /** How many SACK blocks, 0 to 4. Block i is edges 2i (left) and 2i + 1 (right). */
  sackBlocks = 0;
  readonly sackEdges: Int32Array = new Int32Array(8);

  clear(): void {
    this.mss = -1;
    this.windowShift = -1;
    this.sackPermitted = false;
    this.hasTimestamp = false;
    this.timestampValue = 0;
    this.timestampEcho = 0;
    this.sackBlocks = 0;
    this.userTimeout = 0;
    this.fastOpen = -1;
  }
}

/**
 * Reads `bytes[offset … end)` into `into`. Unknown options and known ones of a wrong length are skipped; a length
 * that is below 2 or runs over the end stops the reading (RFC 9293 §3.1, MUST-6 and MUST-7).
 *
 * @returns whether the options were well-formed to their end.
 */
export function readOptions(bytes: Uint8Array, offset: number, end: number, into: SegmentOptions): boolean {
  into.clear();
  let at = offset;
  // The layout that RFC 7323 recommends, and nearly every data segment has.
  if (end - at === timestampSize && readInt32(bytes, at) === 0x0101080a) {
    into.hasTimestamp = true;
    into.timestampValue = readInt32(bytes, at + 4);
    into.timestampEcho = readInt32(bytes, at + 8);
    return true;
  }
  while (at < end) {
    const kind = bytes[at] ?? kindEnd;
    if (kind === kindEnd) return true;
    if (kind === kindNop) {
      at++;
      continue;
    }
    const length = at + 1 < end ? (bytes[at + 1] ?? 0) : 0;
    if (length < 2 || at + length > end) return false;
    if (kind === kindMss && length === 4) {
      into.mss = ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
    } else if (kind === kindWindowScale && length === 3) {
      into.windowShift = Math.min(bytes[at + 2] ?? 0, maxWindowShift);
    } else if (kind === kindSackPermitted && length === 2) {
      into.sackPermitted = true;
    } else if (kind === kindTimestamp && length === 10) {
      into.hasTimestamp = true;
      into.timestampValue = readInt32(bytes, at + 2);
      into.timestampEcho = readInt32(bytes, at + 6);
    } else if (kind === kindUserTimeout && length === 4) {
      into.userTimeout = ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
    } else if (kind === kindFastOpen && isFastOpenLength(length - 2)) {
      into.fastOpen = length - 2;
      for (let index = 0; index < into.fastOpen; index++) into.fastOpenCookie[index] = bytes[at + 2 + index] ?? 0;
    } else if (kind === kindSack && length >= 10 && (length - 2) % 8 === 0) {
      into.sackBlocks = (length - 2) / 8;
      for (let edge = 0; edge < into.sackBlocks * 2; edge++) {
        into.sackEdges[edge] = readInt32(bytes, at + 2 + edge * 4);
      }
    }
    at += length;
  }
  return true;
}

/** Bytes that {@link writeSynOptions} will write. */
export function synOptionsSize(windowShift: number, sackPermitted: boolean, timestamp: boolean): number {
  return 4 + (windowShift >= 0 ? 4 : 0) + (timestamp ? timestampSize : 0) + (sackPermitted ? 4 : 0);
}

/**
 * Writes the options of a SYN: maximum segment size, window scale unless `windowShift` is −1, SACK-permitted and
 * timestamps when wanted.
 *
 * @returns the offset behind them.
 */
export function writeSynOptions(
  bytes: Uint8Array,
  offset: number,
  mss: number,
  windowShift: number,
  sackPermitted: boolean,
  timestamp: boolean,
  timestampValue: number,
  timestampEcho: number,
): number {
  let at = offset;
  bytes[at] = kindMss;
  bytes[at + 1] = 4;
  bytes[at + 2] = mss >>> 8;
  bytes[at + 3] = mss;
  at += 4;
  if (windowShift >= 0) {
    bytes[at] = kindNop;
    bytes[at + 1] = kindWindowScale;
    bytes[at + 2] = 3;
    bytes[at + 3] = windowShift;
    at += 4;
  }
  if (sackPermitted) {
    bytes[at] = kindNop;
    bytes[at + 1] = kindNop;
    bytes[at + 2] = kindSackPermitted;
    bytes[at + 3] = 2;
    at += 4;
  }
  return timestamp ? writeTimestamp(bytes, at, timestampValue, timestampEcho) : at;
}

/** What an ACK says to have arrived early, before it is written: block i is edges 2i and 2i + 1, sequence numbers. */
export class SackBlocks {
  count = 0;
  readonly edges: Int32Array = new Int32Array(8);

  /** Adds a block, when it has a place. */
  add(left: number, right: number): void {
    if (this.count === 4) return;
    this.edges[this.count * 2] = left;
    this.edges[this.count * 2 + 1] = right;
    this.count++;
  }
}

/** Bytes of a SACK option of so many blocks, with the padding that aligns it. */
export function sackSize(blocks: number): number {
  return blocks === 0 ? 0 : 4 + blocks * 8;
}

/** Writes the first `blocks` blocks as an aligned option; returns the offset behind it. */
export function writeSack(bytes: Uint8Array, offset: number, sack: SackBlocks, blocks: number): number {
  bytes[offset] = kindNop;
  bytes[offset + 1] = kindNop;
  bytes[offset + 2] = kindSack;
  bytes[offset + 3] = 2 + blocks * 8;
  for (let edge = 0; edge < blocks * 2; edge++) writeInt32(bytes, offset + 4 + edge * 4, sack.edges[edge] ?? 0);
  return offset + sackSize(blocks);
}

/** Bytes of the user timeout option. */
export const userTimeoutSize = 4;

/** Writes the user timeout option with these sixteen bits. */
export function writeUserTimeout(bytes: Uint8Array, offset: number, bits: number): void {
  bytes[offset] = kindUserTimeout;
  bytes[offset + 1] = userTimeoutSize;
  bytes[offset + 2] = bits >>> 8;
  bytes[offset + 3] = bits;
}

/** Whether a Fast Open option may have that many bytes behind its length: none, or an even number (RFC 7413 §4.1.1). */
function isFastOpenLength(length: number): boolean {
  return length === 0 || (length >= minFastOpenCookie && length <= maxFastOpenCookie && length % 2 === 0);
}

/** Bytes of a Fast Open option with a cookie of `length` bytes, with its padding; −1 is no option. */
export function fastOpenSize(length: number): number {
  return length < 0 ? 0 : (length + 5) & ~3;
}

/** Writes a Fast Open option, padding first, with `cookie[0 … length)`; returns the offset behind it. */
export function writeFastOpen(bytes: Uint8Array, offset: number, cookie: Uint8Array, length: number): number {
  const end = offset + fastOpenSize(length);
  let at = offset;
  while (end - at > 2 + length) bytes[at++] = kindNop;
  bytes[at++] = kindFastOpen;
  bytes[at++] = 2 + length;
  for (let index = 0; index < length; index++) bytes[at++] = cookie[index] ?? 0;
  return end;
}

/** Writes the twelve bytes of an aligned timestamps option; returns the offset behind them. */
export function writeTimestamp(bytes: Uint8Array, offset: number, value: number, echo: number): number {
  bytes[offset] = kindNop;
  bytes[offset + 1] = kindNop;
  bytes[offset + 2] = kindTimestamp;
  bytes[offset + 3] = 10;
  writeInt32(bytes, offset + 4, value);
  writeInt32(bytes, offset + 8, echo);
  return offset + timestampSize;
}

/** Writes the fixed header with checksum and urgent pointer 0. `headerLength` is a multiple of 4, 20 to 60. */
export function writeHeader(
  bytes: Uint8Array,
  offset: number,
  sourcePort: number,
  destinationPort: number,
  sequence: number,
  acknowledgement: number,
  headerLength: number,
  segmentFlags: number,
  window: number,
): void {
  const field = header.field;
  field.sourcePort.set(bytes, offset, sourcePort);
  field.destinationPort.set(bytes, offset, destinationPort);
  writeInt32(bytes, offset + 4, sequence);
  writeInt32(bytes, offset + 8, acknowledgement);
  bytes[offset + 12] = headerLength << 2;
  bytes[offset + 13] = segmentFlags;
  field.window.set(bytes, offset, window);
  writeInt32(bytes, offset + 16, 0);
}

/** Options as people and tests write them. */
export interface OptionsRecord {
  readonly mss?: number;
  readonly windowShift?: number;
  readonly sackPermitted?: boolean;
  /** Pairs of sequence numbers, left and right edge. */
  readonly sack?: readonly (readonly [number, number])[];
  readonly timestamp?: { readonly value: number; readonly echo: number };
  /** The sixteen bits of RFC 5482 §2: seconds, or with the first one set minutes. */
  readonly userTimeout?: number;
  /** A Fast Open cookie, 4 to 16 bytes; empty: a request of one. */
  readonly fastOpen?: Uint8Array;
}

/** A whole segment, without its checksum verified. */
export interface SegmentRecord {
  readonly header: RecordOf<typeof header>;
  readonly options: OptionsRecord;
  readonly payload: Uint8Array;
}

/**
 * Reads a segment into a record of its own. The checksum is the caller's: it needs the addresses.
 */
export function parseSegment(
  bytes: Uint8Array,
  offset = 0,
  length: number = bytes.length - offset,
): Parsed<SegmentRecord> {
  const parsed = header.parse(bytes, offset, length);
  if (!parsed.ok) return parsed;
  const headerLength = parsed.value.dataOffset * 4;
  if (headerLength < headerSize) {
    return failed("value", "tcp", "dataOffset", offset + 12, `${String(headerLength)} bytes are less than the header`);
  }
  if (headerLength > length) {
    return failed("length", "tcp", "dataOffset", offset + 12, `${String(headerLength)} bytes of ${String(length)}`);
  }
  const options = new SegmentOptions();
  if (!readOptions(bytes, offset + headerSize, offset + headerLength, options)) {
    return failed("length", "tcp", "options", offset + headerSize, "an option runs over the end of the header");
  }
  const sack: [number, number][] = [];
  for (let block = 0; block < options.sackBlocks; block++) {
    sack.push([(options.sackEdges[block * 2] ?? 0) >>> 0, (options.sackEdges[block * 2 + 1] ?? 0) >>> 0]);
  }
  return {
    ok: true,
    value: {
      header: parsed.value,
      options: {
        ...(options.mss >= 0 ? { mss: options.mss } : {}),
        ...(options.windowShift >= 0 ? { windowShift: options.windowShift } : {}),
        ...(options.sackPermitted ? { sackPermitted: true } : {}),
        ...(sack.length > 0 ? { sack } : {}),
        ...(options.userTimeout > 0 ? { userTimeout: options.userTimeout } : {}),
        ...(options.fastOpen >= 0 ? { fastOpen: options.fastOpenCookie.slice(0, options.fastOpen) } : {}),
        ...(options.hasTimestamp
          ? { timestamp: { value: options.timestampValue >>> 0, echo: options.timestampEcho >>> 0 } }
          : {}),
      },
      payload: bytes.slice(offset + headerLength, offset + length),
    },
  };
}

/** The options as bytes, padded with zeros to a multiple of four. */
export function emitOptions(options: OptionsRecord): Uint8Array {
  const out: number[] = [];
  const word = (value: number): void =>
    void out.push(value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255);
  if (options.mss !== undefined) out.push(kindMss, 4, options.mss >>> 8, options.mss & 255);
  if (options.windowShift !== undefined) out.push(kindNop, kindWindowScale, 3, options.windowShift);
  if (options.sackPermitted === true) out.push(kindNop, kindNop, kindSackPermitted, 2);
  if (options.timestamp !== undefined) {
    out.push(kindNop, kindNop, kindTimestamp, 10);
    word(options.timestamp.value);
    word(options.timestamp.echo);
  }
  if (options.userTimeout !== undefined) {
    out.push(kindUserTimeout, userTimeoutSize, options.userTimeout >>> 8, options.userTimeout & 255);
  }
  if (options.fastOpen !== undefined) out.push(kindFastOpen, 2 + options.fastOpen.length, ...options.fastOpen);
  if (options.sack !== undefined && options.sack.length > 0) {
    out.push(kindNop, kindNop, kindSack, 2 + options.sack.length * 8);
    for (const [left, right] of options.sack) {
      word(left);
      word(right);
    }
  }
  while (out.length % 4 !== 0) out.push(kindEnd);
  return Uint8Array.from(out);
}

/** One line: `tcp 49152 > 80 S seq=1 win=65535 mss=1460`. */
export function printSegment(segment: SegmentRecord): string {
  const { sourcePort, destinationPort, sequence, acknowledgement, window } = segment.header;
  const { mss, windowShift, sackPermitted, sack, timestamp, userTimeout, fastOpen } = segment.options;
  const letters = [
    [flagSyn, "S"],
    [flagFin, "F"],
    [flagRst, "R"],
    [flagPsh, "P"],
    [flagAck, "A"],
    [flagUrg, "U"],
    [flagEce, "E"],
    [flagCwr, "C"],
  ] as const;
  const set = letters.filter(([mask]) => (segment.header.flags & mask) !== 0).map(([, letter]) => letter);
  const parts = [
    `tcp ${String(sourcePort)} > ${String(destinationPort)} ${set.join("")}`,
    `seq=${String(sequence)}`,
    (segment.header.flags & flagAck) === 0 ? "" : `ack=${String(acknowledgement)}`,
    `win=${String(window)}`,
    segment.payload.length === 0 ? "" : `len=${String(segment.payload.length)}`,
    mss === undefined ? "" : `mss=${String(mss)}`,
    windowShift === undefined ? "" : `wscale=${String(windowShift)}`,
    sackPermitted === true ? "sackOK" : "",
    userTimeout === undefined ? "" : `uto=${String(userTimeout)}`,
    fastOpen === undefined ? "" : `tfo=${fastOpen.length === 0 ? "?" : hex(fastOpen)}`,
    timestamp === undefined ? "" : `ts=${String(timestamp.value)}/${String(timestamp.echo)}`,
    ...(sack ?? []).map(([left, right]) => `sack=${String(left)}-${String(right)}`),
  ];
  return parts.filter((part) => part !== "").join(" ");
}

function hex(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
