import {
  byteOrderMagic,
  enhancedPacketBlock,
  interfaceBlock,
  linkTypeEthernet,
  optionComment,
  optionEnd,
  optionInterfaceName,
  optionTimestampResolution,
  padding,
  sectionHeaderBlock,
} from "./pcapng.ts";

export interface PcapngInterface {
  /** For people: `tap0`. */
  readonly name?: string;
  /** Default: Ethernet. */
  readonly linkType?: number;
  /** The most bytes of a packet that are kept, 1 to 262,144 (the default). */
  readonly snapLength?: number;
}

const largestSnapLength = 262_144;

/** The most bytes of a comment that are kept. The length of an option has sixteen bits. */
const largestComment = 4096;

/**
 * Writes a capture that Wireshark and its kin read, a block at a time: one section, little-endian, times in
 * nanoseconds.
 *
 * Each block goes to the sink in one call, as an array of its own, which the sink may keep. The section header goes
 * there from the constructor.
 */
export class PcapngWriter {
  readonly #sink: (bytes: Uint8Array) => void;
  readonly #snapLengths: number[] = [];
  readonly #encoder: TextEncoder = new TextEncoder();

  constructor(sink: (bytes: Uint8Array) => void) {
    this.#sink = sink;
    const block = new BlockBuilder(sectionHeaderBlock, 28);
    block.u32(byteOrderMagic);
    block.u16(1);
    block.u16(0);
    // The length of the section: not known.
    block.u32(0xffffffff);
    block.u32(0xffffffff);
    sink(block.finish());
  }

  /**
   * Declares an interface.
   *
   * @returns its number, for {@link PcapngWriter.writePacket}: 0, 1, …
   * @throws RangeError when `snapLength` or `linkType` is out of range.
   */
  addInterface(options: PcapngInterface = {}): number {
    const { linkType = linkTypeEthernet, snapLength = largestSnapLength } = options;
    if (!Number.isInteger(snapLength) || snapLength < 1 || snapLength > largestSnapLength) {
      throw new RangeError(`snapLength ${String(snapLength)} is not an integer from 1 to ${String(largestSnapLength)}`);
    }
    if (!Number.isInteger(linkType) || linkType < 0 || linkType > 0xffff) {
      throw new RangeError(`linkType ${String(linkType)} is not an integer from 0 to 65535`);
    }
    const name = this.#text(options.name ?? "");
    const block = new BlockBuilder(interfaceBlock, 20 + optionSize(name.length) + optionSize(1) + 4);
    block.u16(linkType);
    block.u16(0);
    block.u32(snapLength);
    if (name.length > 0) block.option(optionInterfaceName, name);
    // 10⁻⁹ seconds.
    block.option(optionTimestampResolution, new Uint8Array([9]));
    block.option(optionEnd, new Uint8Array(0));
    this.#sink(block.finish());
    return this.#snapLengths.push(snapLength) - 1;
  }

  /**
   * Writes the packet `bytes[offset … offset + length)`, cut to the interface's `snapLength`.
   *
   * @param time milliseconds since 1970-01-01T00:00:00Z; below 0 is written as 0
   * @param comment up to 4096 bytes of UTF-8; the rest is cut off
   * @throws RangeError when there is no such interface, or the packet does not lie in `bytes`.
   */
  writePacket(
    interfaceId: number,
    time: number,
    bytes: Uint8Array,
    offset = 0,
    length: number = bytes.length - offset,
    comment = "",
  ): void {
    const snapLength = this.#snapLengths[interfaceId];
    if (snapLength === undefined) throw new RangeError(`interfaceId ${String(interfaceId)} was not added`);
    if (!(offset >= 0 && length >= 0 && offset + length <= bytes.length)) {
      throw new RangeError(`offset ${offset}, length ${length} do not lie in ${bytes.length} bytes`);
    }
    const kept = Math.min(length, snapLength);
    const text = this.#text(comment);
    const options = text.length > 0 ? optionSize(text.length) + 4 : 0;
    const block = new BlockBuilder(enhancedPacketBlock, 32 + kept + padding(kept) + options);
    // In two steps: nanoseconds since 1970 are beyond 2⁵³. A double of milliseconds has a quarter of a microsecond.
    const milliseconds = Math.max(0, Math.floor(time));
    const fraction = Math.round((Math.max(0, time) - milliseconds) * 1e6);
    const nanoseconds = BigInt(milliseconds) * 1_000_000n + BigInt(fraction);
    block.u32(interfaceId);
    block.u32(Number((nanoseconds >> 32n) & 0xffffffffn));
    block.u32(Number(nanoseconds & 0xffffffffn));
    block.u32(kept);
    block.u32(length);
    block.bytes(bytes, offset, kept);
    if (text.length > 0) {
      block.option(optionComment, text);
      block.option(optionEnd, new Uint8Array(0));
    }
    this.#sink(block.finish());
  }

  #text(text: string): Uint8Array {
    const bytes = this.#encoder.encode(text);
    if (bytes.length <= largestComment) return bytes;
    // Cut at the start of a character.
    let end = largestComment;
    while (((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
    return bytes.subarray(0, end);
  }
}

function optionSize(length: number): number {
  return length === 0 ? 0 : 4 + length + padding(length);
}

/** A block under construction. */
class BlockBuilder {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 8;

  constructor(type: number, size: number) {
    this.#bytes = new Uint8Array(size);
    this.#view = new DataView(this.#bytes.buffer);
    this.#view.setUint32(0, type, true);
    this.#view.setUint32(4, size, true);
    this.#view.setUint32(size - 4, size, true);
  }

  u16(value: number): void {
    this.#view.setUint16(this.#at, value, true);
    this.#at += 2;
  }

  u32(value: number): void {
    this.#view.setUint32(this.#at, value, true);
    this.#at += 4;
  }

  /** The bytes and their padding. */
  bytes(from: Uint8Array, offset: number, length: number): void {
    this.#bytes.set(from.subarray(offset, offset + length), this.#at);
    this.#at += length + padding(length);
  }

  option(code: number, value: Uint8Array): void {
    this.u16(code);
    this.u16(value.length);
    this.bytes(value, 0, value.length);
  }

  finish(): Uint8Array {
    return this.#bytes;
  }
}
