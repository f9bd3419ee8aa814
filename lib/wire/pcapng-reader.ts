import { failed, type ParseError } from "./parse-error.ts";
import {
  byteOrderMagic,
  enhancedPacketBlock,
  interfaceBlock,
  optionComment,
  optionEnd,
  optionInterfaceName,
  optionTimestampResolution,
  padding,
  sectionHeaderBlock,
  simplePacketBlock,
} from "./pcapng.ts";

export type PcapngItem =
  | {
      readonly kind: "interface";
      /** Counts from 0 in each section, as `interfaceId` of the packets behind it does. */
      readonly id: number;
      readonly name: string;
      readonly linkType: number;
      /** 0 is no limit. */
      readonly snapLength: number;
    }
  | {
      readonly kind: "packet";
      readonly interfaceId: number;
      /** Milliseconds since 1970-01-01T00:00:00Z; 0 for a packet without a time (a simple packet block). */
      readonly time: number;
      /** The bytes that were kept: a part of the array given, not a copy. */
      readonly bytes: Uint8Array;
      /** Bytes in the packet as it was on the wire. */
      readonly originalLength: number;
      readonly comment: string;
    }
  /** The file is malformed at `error.offset`: the last item. */
  | { readonly kind: "error"; readonly error: ParseError };

/** The most interfaces a section can have here; a file with more is malformed. */
const mostInterfaces = 65_536;

/**
 * The interfaces and packets of a capture in pcapng, of either byte order, with any number of sections.
 *
 * Blocks of other types are skipped. A malformed file gives what was good, then one `error`; nothing is thrown. A file
 * that ends inside a block is malformed.
 */
export function* readPcapng(bytes: Uint8Array): Generator<PcapngItem, void, undefined> {
  const reader = new Reader(bytes);
  while (reader.at < bytes.length) {
    const item = reader.block();
    if (item === undefined) continue;
    yield item;
    if (item.kind === "error") return;
  }
}

interface Interface {
  readonly snapLength: number;
  /** Units of a time stamp in a millisecond. */
  readonly ticks: number;
}

class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #decoder: TextDecoder = new TextDecoder("utf-8", { ignoreBOM: true });
  #littleEndian = true;
  #inSection = false;
  #interfaces: Interface[] = [];
  /** Where the next block starts. */
  at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Reads the block at `at` and moves on to the next. */
  block(): PcapngItem | undefined {
    const start = this.at;
    const left = this.#bytes.length - start;
    if (left < 12) return error("truncated", "block", start, `${String(left)} bytes where a block has at least 12`);
    // The type of a section header reads the same in both byte orders; its magic says which one it is.
    const isSection = this.#u32(start) === sectionHeaderBlock;
    if (isSection) {
      const magic = this.#view.getUint32(start + 8, true);
      this.#littleEndian = magic === byteOrderMagic;
      if (!this.#littleEndian && this.#view.getUint32(start + 8) !== byteOrderMagic) {
        return error("value", "magic", start + 8, "not the byte-order magic 0x1a2b3c4d");
      }
    } else if (!this.#inSection) {
      return error("value", "type", start, "the file does not begin with a section header: not pcapng");
    }
    const length = this.#u32(start + 4);
    if (length < 12 || length % 4 !== 0) {
      return error("length", "length", start + 4, `${String(length)} is not a multiple of 4 from 12 on`);
    }
    if (length > left) {
      return error("truncated", "block", start, `${String(left)} bytes where the block has ${String(length)}`);
    }
    const trailer = this.#u32(start + length - 4);
    if (trailer !== length) {
      const what = `the block ends with the length ${String(trailer)} and begins with ${String(length)}`;
      return error("length", "trailer", start + length - 4, what);
    }
    this.at = start + length;
    const body = start + 8;
    const end = start + length - 4;
    switch (this.#u32(start)) {
      case sectionHeaderBlock:
        return this.#section(body, end);
      case interfaceBlock:
        return this.#interface(body, end);
      case enhancedPacketBlock:
        return this.#enhancedPacket(body, end);
      case simplePacketBlock:
        return this.#simplePacket(body, end);
      default:
        return undefined;
    }
  }

  #section(body: number, end: number): PcapngItem | undefined {
    if (end - body < 16) return tooShort("section", body, end, 16);
    const major = this.#u16(body + 4);
    if (major !== 1) return error("unsupported", "major", body + 4, `version ${String(major)} where 1 is known`);
    this.#inSection = true;
    this.#interfaces = [];
    return undefined;
  }

  #interface(body: number, end: number): PcapngItem {
    if (end - body < 8) return tooShort("interface", body, end, 8);
    if (this.#interfaces.length >= mostInterfaces)
      return error("unsupported", "interface", body, "too many interfaces");
    const options = this.#options(body + 8, end);
    if ("kind" in options) return options;
    const snapLength = this.#u32(body + 4);
    const id = this.#interfaces.push({ snapLength, ticks: options.ticks }) - 1;
    return { kind: "interface", id, name: options.name, linkType: this.#u16(body), snapLength };
  }

  #enhancedPacket(body: number, end: number): PcapngItem {
    if (end - body < 20) return tooShort("packet", body, end, 20);
    const interfaceId = this.#u32(body);
    const from = this.#interfaces[interfaceId];
    if (from === undefined) return noInterface(interfaceId, body);
    const captured = this.#u32(body + 12);
    const room = end - body - 20;
    if (captured + padding(captured) > room) {
      const what = `${String(captured)} bytes captured where the block has room for ${String(room)}`;
      return error("length", "capturedLength", body + 12, what);
    }
    const options = this.#options(body + 20 + captured + padding(captured), end);
    if ("kind" in options) return options;
    const time = milliseconds(this.#u32(body + 4), this.#u32(body + 8), from.ticks);
    return this.#packet(interfaceId, time, body + 20, captured, this.#u32(body + 16), options.comment);
  }

  #simplePacket(body: number, end: number): PcapngItem {
    if (end - body < 4) return tooShort("packet", body, end, 4);
    const from = this.#interfaces[0];
    if (from === undefined) return noInterface(0, body);
    const originalLength = this.#u32(body);
    const limit = from.snapLength === 0 ? originalLength : Math.min(originalLength, from.snapLength);
    const room = end - body - 4;
    if (limit + padding(limit) !== room) {
      const what = `${String(limit)} bytes captured where the block has ${String(room)}`;
      return error("length", "originalLength", body, what);
    }
    return this.#packet(0, 0, body + 4, limit, originalLength, "");
  }

  #packet(
    interfaceId: number,
    time: number,
    at: number,
    length: number,
    originalLength: number,
    comment: string,
  ): PcapngItem {
    const bytes = this.#bytes.subarray(at, at + length);
    return { kind: "packet", interfaceId, time, bytes, originalLength, comment };
  }

  /** The options of a block: its comment, and the others as an interface block has them. */
  #options(start: number, end: number): { name: string; comment: string; ticks: number } | PcapngItem {
    const options = { name: "", comment: "", ticks: 1000 };
    let at = start;
    while (at < end) {
      if (end - at < 4) return error("truncated", "option", at, `${String(end - at)} bytes where an option has 4`);
      const code = this.#u16(at);
      const length = this.#u16(at + 2);
      if (code === optionEnd) break;
      if (length > end - at - 4) {
        return error("length", "option", at + 2, `an option of ${String(length)} bytes passes the end of the block`);
      }
      const value = this.#bytes.subarray(at + 4, at + 4 + length);
      if (code === optionComment) options.comment = this.#decoder.decode(value);
      else if (code === optionInterfaceName) options.name = this.#decoder.decode(value);
      else if (code === optionTimestampResolution && length === 1) options.ticks = ticks(value[0] ?? 6);
      at += 4 + length + padding(length);
    }
    return options;
  }

  #u16(at: number): number {
    return this.#view.getUint16(at, this.#littleEndian);
  }

  #u32(at: number): number {
    return this.#view.getUint32(at, this.#littleEndian);
  }
}

/** Units in a millisecond. `if_tsresol` is a negative power of ten, or of two when the top bit is set. */
function ticks(resolution: number): number {
  const power = resolution & 0x7f;
  return (resolution & 0x80) === 0 ? 10 ** power / 1000 : 2 ** power / 1000;
}

/** A time stamp in milliseconds, its whole part exact. */
function milliseconds(high: number, low: number, ticks: number): number {
  if (!Number.isInteger(ticks)) return (high * 0x1_0000_0000 + low) / ticks;
  const stamp = (BigInt(high) << 32n) | BigInt(low);
  const unit = BigInt(ticks);
  return Number(stamp / unit) + Number(stamp % unit) / ticks;
}

function tooShort(field: string, body: number, end: number, least: number): PcapngItem {
  return error("length", field, body, `${String(end - body)} bytes where it has at least ${String(least)}`);
}

function noInterface(id: number, at: number): PcapngItem {
  return error("value", "interfaceId", at, `no interface ${String(id)} was declared in this section`);
}

function error(kind: ParseError["kind"], field: string, offset: number, what: string): PcapngItem {
  return { kind: "error", error: failed(kind, "pcapng", field, offset, what).error };
}
