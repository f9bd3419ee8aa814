/** Requests and responses of block devices on 64-bit x86 (Xen's `io/blkif.h`). Little-endian; offsets in bytes. */

import { pageSize } from "../grant.ts";

/** Bytes of an entry of the ring. */
export const entrySize = 112;
/** What both ends count in, whatever the device's sectors are, in bytes. */
export const unit = 512;
export const unitsOfPage: number = pageSize / unit;

export const operation = { read: 0, write: 1, barrier: 2, flush: 3, discard: 5, indirect: 6 } as const;
export const responseStatus = { okay: 0, error: -1, notSupported: -2 } as const;
/** Bits of the node `info`. */
export const diskInfo = { cdrom: 1, removable: 2, readOnly: 4 } as const;

/** Pages of data that one request names itself; more are named on pages of their own. */
export const directSegments = 11;
export const segmentSize = 8;
export const segmentsOfPage: number = pageSize / segmentSize;
export const mostIndirectPages = 8;
/** The ABI, as in the node `protocol`. */
export const protocol = "x86_64-abi";

const segmentsAt = 24;
const indirectReferencesAt = 28;

/** Writes what all requests have in front: operation, number of segments, id, and place. */
export function writeHead(view: DataView, at: number, kind: number, segments: number, id: number, place: number): void {
  view.setUint8(at, kind);
  view.setUint8(at + 1, segments);
  view.setUint16(at + 2, 0, true);
  view.setUint32(at + 8, id, true);
  view.setUint32(at + 12, 0, true);
  view.setUint32(at + 16, place, true);
  view.setUint32(at + 20, place / 0x1_0000_0000, true);
}

/** Likewise of a request whose segments are on other pages; {@link writeIndirectPage} names them. */
export function writeIndirectHead(
  view: DataView,
  at: number,
  kind: number,
  segments: number,
  id: number,
  place: number,
): void {
  writeHead(view, at, operation.indirect, kind, id, place);
  view.setUint16(at + 2, segments, true);
  view.setUint16(at + 24, 0, true);
}

export function writeIndirectPage(view: DataView, at: number, index: number, reference: number): void {
  view.setUint32(at + indirectReferencesAt + index * 4, reference, true);
}

/** Writes segment `index` of a request at `at`. */
export function writeDirectSegment(
  view: DataView,
  at: number,
  index: number,
  reference: number,
  first: number,
  last: number,
): void {
  writeSegment(view, at + segmentsAt + index * segmentSize, reference, first, last);
}

/** Writes a segment at `at`: in a request, or on a page of its own. */
export function writeSegment(view: DataView, at: number, reference: number, first: number, last: number): void {
  view.setUint32(at, reference, true);
  view.setUint8(at + 4, first);
  view.setUint8(at + 5, last);
}

export function writeDiscardLength(view: DataView, at: number, units: number): void {
  view.setUint32(at + 24, units, true);
  view.setUint32(at + 28, units / 0x1_0000_0000, true);
}

export function writeResponse(
  view: DataView,
  at: number,
  idLow: number,
  idHigh: number,
  kind: number,
  status: number,
): void {
  view.setUint32(at, idLow, true);
  view.setUint32(at + 4, idHigh, true);
  view.setUint8(at + 8, kind);
  view.setInt16(at + 10, status, true);
}

/** A number of 64 bits; what is more than 2⁵³ − 1 is {@link Infinity}. */
function readLong(view: DataView, at: number): number {
  const high = view.getUint32(at + 4, true);
  return high > 0x1f_ffff ? Infinity : high * 0x1_0000_0000 + view.getUint32(at, true);
}

/** A request as the other end wrote it: each field is read once, and none is checked. Reusable. */
export class BlockRequest {
  kind = 0;
  /** Of an indirect request: what it is about. */
  innerKind = 0;
  idLow = 0;
  idHigh = 0;
  /** In units of 512 bytes; Infinity when it is more than 2⁵³ − 1. */
  place = 0;
  /** Of a discard, in units of 512 bytes. */
  length = 0;
  segments = 0;
  readonly indirect: Uint32Array = new Uint32Array(mostIndirectPages);
  readonly references: Uint32Array;
  readonly first: Uint8Array;
  readonly last: Uint8Array;

  /** @param mostSegments that it has room for, at least {@link directSegments} */
  constructor(mostSegments: number) {
    this.references = new Uint32Array(mostSegments);
    this.first = new Uint8Array(mostSegments);
    this.last = new Uint8Array(mostSegments);
  }

  read(view: DataView, at: number): void {
    this.kind = view.getUint8(at);
    this.innerKind = view.getUint8(at + 1);
    this.idLow = view.getUint32(at + 8, true);
    this.idHigh = view.getUint32(at + 12, true);
    this.place = readLong(view, at + 16);
    this.length = 0;
    this.segments = 0;
    if (this.kind === operation.discard) this.length = readLong(view, at + 24);
    else if (this.kind === operation.indirect) {
      this.segments = view.getUint16(at + 2, true);
      for (let index = 0; index < mostIndirectPages; index++) {
        this.indirect[index] = view.getUint32(at + indirectReferencesAt + index * 4, true);
      }
    } else {
      this.segments = this.innerKind;
      const count = Math.min(this.segments, directSegments);
      for (let index = 0; index < count; index++) this.readSegment(index, view, at + segmentsAt + index * segmentSize);
    }
  }

  readSegment(index: number, view: DataView, at: number): void {
    this.references[index] = view.getUint32(at, true);
    this.first[index] = view.getUint8(at + 4);
    this.last[index] = view.getUint8(at + 5);
  }

  /** Units of 512 bytes in segments 0 to `segments` − 1; −1 when one of them is not within a page. */
  get units(): number {
    let units = 0;
    for (let index = 0; index < this.segments; index++) {
      const first = this.first[index] ?? 0;
      const last = this.last[index] ?? 0;
      if (first > last || last >= unitsOfPage) return -1;
      units += last - first + 1;
    }
    return units;
  }
}
