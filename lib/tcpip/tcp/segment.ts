import { readInt32 } from "@tesserae/wire/field";
import { flagFin, flagSyn, headerSize, readOptions, SegmentOptions } from "./wire.ts";

/** One received segment, its fields read out of the page. Reused for the next: nothing keeps it. */
export class Segment {
  sourcePort = 0;
  destinationPort = 0;
  /** Signed 32-bit. */
  sequence = 0;
  /** Signed 32-bit; meaningful with the ACK flag. */
  acknowledgement = 0;
  flags = 0;
  /** As on the wire: not scaled. */
  window = 0;
  /** The payload is `bytes[offset … offset + length)`. */
  bytes: Uint8Array = new Uint8Array(0);
  offset = 0;
  length = 0;
  /** `now()` when it arrived, milliseconds. For whoever reads the segment to set: as an argument it would be allocated. */
  time = 0;
  /** The two ECN bits of the IP header it came in. */
  ecn = 0;
  readonly options: SegmentOptions = new SegmentOptions();

  /**
   * Reads `bytes[offset … offset + length)`.
   *
   * @returns false when it is no TCP segment: too short, or a data offset that does not fit. Malformed options stop
   * at the malformed one.
   */
  read(bytes: Uint8Array, offset: number, length: number): boolean {
    if (length < headerSize) return false;
    const headerLength = ((bytes[offset + 12] ?? 0) >>> 4) << 2;
    if (headerLength < headerSize || headerLength > length) return false;
    this.sourcePort = ((bytes[offset] ?? 0) << 8) | (bytes[offset + 1] ?? 0);
    this.destinationPort = ((bytes[offset + 2] ?? 0) << 8) | (bytes[offset + 3] ?? 0);
    this.sequence = readInt32(bytes, offset + 4);
    this.acknowledgement = readInt32(bytes, offset + 8);
    this.flags = bytes[offset + 13] ?? 0;
    this.window = ((bytes[offset + 14] ?? 0) << 8) | (bytes[offset + 15] ?? 0);
    this.bytes = bytes;
    this.offset = offset + headerLength;
    this.length = length - headerLength;
    if (headerLength === headerSize) this.options.clear();
    else readOptions(bytes, offset + headerSize, offset + headerLength, this.options);
    return true;
  }

  /** SEG.LEN: bytes of sequence space, SYN and FIN counting one each (RFC 9293 §3.3.1). */
  get span(): number {
    const flags = this.flags;
    return this.length + ((flags & flagSyn) === 0 ? 0 : 1) + ((flags & flagFin) === 0 ? 0 : 1);
  }
}
