import type { IpAddress } from "@tesserae/device/address";
import { type Ip, protocolTcp } from "@tesserae/device/ip";
import { headroom, needsChecksum, type Page } from "@tesserae/device/page";
import { fold, pseudoHeaderSum4, pseudoHeaderSum6 } from "@tesserae/wire/checksum";
import type { EndpointPair } from "./demux.ts";
import { notCapable } from "./ecn.ts";
import type { SendBuffer } from "./send-buffer.ts";
import type { Counters } from "./statistics.ts";
import {
  fastOpenSize,
  flagRst,
  headerSize,
  maxFastOpenCookie,
  SackBlocks,
  sackSize,
  synOptionsSize,
  timestampSize,
  userTimeoutSize,
  writeFastOpen,
  writeHeader,
  writeSack,
  writeSynOptions,
  writeTimestamp,
  writeUserTimeout,
} from "./wire.ts";

/** Where the checksum is in the header (RFC 9293 §3.1). */
const checksumAt = 16;

/** The sum of the pseudo header of a segment (RFC 9293 §3.1). */
export function pseudoHeaderSum(source: IpAddress, destination: IpAddress, length: number): number {
  return source.family === 4
    ? pseudoHeaderSum4(source.w3, destination.w3, protocolTcp, length)
    : pseudoHeaderSum6(source, destination, protocolTcp, length);
}

/** Puts the sum of the pseudo header where the checksum belongs: the device, or IP in its place, does the rest. */
function leaveChecksum(page: Page, pair: EndpointPair, length: number): void {
  const sum = fold(pseudoHeaderSum(pair.local, pair.remote, length));
  page.bytes[headroom + checksumAt] = sum >>> 8;
  page.bytes[headroom + checksumAt + 1] = sum;
  page.flags = needsChecksum;
  page.checksumOffset = checksumAt;
}

/** `IpSendOptions`, the one object that all segments are sent with. */
class SendChoices {
  source: IpAddress;
  dontFragment = true;
  ecn = notCapable;

  constructor(source: IpAddress) {
    this.source = source;
  }
}

/** Builds segments in pages of the network layer and sends them. Allocates nothing. */
export class Transmitter {
  /** Goes with the next segment, as far as there is room for it beside timestamps. */
  readonly sack: SackBlocks = new SackBlocks();
  /** Goes with the next segment or SYN, as the sixteen bits of RFC 5482; 0 is none. */
  userTimeout = 0;
  /** Goes with the next SYN: a Fast Open cookie of so many bytes, 0 for a request of one; −1 is none. */
  fastOpen = -1;
  readonly fastOpenCookie: Uint8Array = new Uint8Array(maxFastOpenCookie);
  readonly #ip: Ip;
  readonly #counters: Counters;
  readonly #choices: SendChoices;

  constructor(ip: Ip, counters: Counters, anyAddress: IpAddress) {
    this.#ip = ip;
    this.#counters = counters;
    this.#choices = new SendChoices(anyAddress);
  }

  /**
   * Sends a segment, with timestamps when `timestamp` is set, and with `length` bytes of `payload` at `payloadOffset`.
   *
   * @param window as on the wire: scaled down already
   * @param ecn the ECN bits of the IP header
   * @param segmentSize where `length` is more: the device cuts the payload into segments of so many bytes
   * @returns false when it did not leave: no page, or IP refused it.
   */
  segment(
    pair: EndpointPair,
    flags: number,
    sequence: number,
    acknowledgement: number,
    window: number,
    timestamp: boolean,
    timestampValue: number,
    timestampEcho: number,
    payload: SendBuffer | null,
    payloadOffset: number,
    length: number,
    segmentSize: number,
    dontFragment: boolean,
    ecn: number,
  ): boolean {
    const blocks = timestamp ? Math.min(3, this.sack.count) : this.sack.count;
    this.sack.count = 0;
    const { userTimeout } = this;
    this.userTimeout = 0;
    const optionsLength = (timestamp ? timestampSize : 0) + sackSize(blocks);
    const headerLength = headerSize + optionsLength + (userTimeout > 0 ? userTimeoutSize : 0);
    const isLong = length > segmentSize;
    const page = this.#ip.allocate(isLong ? headerLength + length : undefined, pair.remote);
    if (page === undefined) {
      this.#counters.transmitStalls++;
      return false;
    }
    const bytes = page.bytes;
    writeHeader(
      bytes,
      headroom,
      pair.localPort,
      pair.remotePort,
      sequence,
      acknowledgement,
      headerLength,
      flags,
      window,
    );
    if (timestamp) writeTimestamp(bytes, headroom + headerSize, timestampValue, timestampEcho);
    const optionsEnd = headroom + headerSize + optionsLength;
    if (blocks > 0) writeSack(bytes, optionsEnd - sackSize(blocks), this.sack, blocks);
    if (userTimeout > 0) writeUserTimeout(bytes, optionsEnd, userTimeout);
    if (payload !== null) payload.copyTo(payloadOffset, length, bytes, headroom + headerLength);
    const total = headerLength + length;
    leaveChecksum(page, pair, total);
    if (isLong) {
      page.segmentSize = segmentSize;
      page.headerLength = headerLength;
    }
    this.#choices.source = pair.local;
    this.#choices.dontFragment = dontFragment;
    this.#choices.ecn = ecn;
    this.#counters.segmentsSent += isLong ? Math.ceil(length / segmentSize) : 1;
    if (this.#ip.send(pair.remote, protocolTcp, page, headroom, total, this.#choices)) return true;
    this.#counters.transmitStalls++;
    return false;
  }

  /**
   * Sends a SYN or SYN-ACK. `windowShift` −1, `sackPermitted` and `timestamp` false leave their options out. A SYN may
   * carry the first `length` bytes of `payload`.
   */
  syn(
    pair: EndpointPair,
    flags: number,
    sequence: number,
    acknowledgement: number,
    window: number,
    mss: number,
    windowShift: number,
    sackPermitted: boolean,
    timestamp: boolean,
    timestampValue: number,
    timestampEcho: number,
    payload: SendBuffer | null = null,
    length = 0,
  ): boolean {
    const { userTimeout, fastOpen } = this;
    this.userTimeout = 0;
    this.fastOpen = -1;
    const page = this.#ip.allocate(undefined, pair.remote);
    if (page === undefined) {
      this.#counters.transmitStalls++;
      return false;
    }
    const bytes = page.bytes;
    const optionsLength = synOptionsSize(windowShift, sackPermitted, timestamp);
    const cookieAt = headerSize + optionsLength + (userTimeout > 0 ? userTimeoutSize : 0);
    const headerLength = cookieAt + fastOpenSize(fastOpen);
    const total = headerLength + length;
    writeHeader(
      bytes,
      headroom,
      pair.localPort,
      pair.remotePort,
      sequence,
      acknowledgement,
      headerLength,
      flags,
      window,
    );
    const at = headroom + headerSize;
    writeSynOptions(bytes, at, mss, windowShift, sackPermitted, timestamp, timestampValue, timestampEcho);
    if (userTimeout > 0) writeUserTimeout(bytes, at + optionsLength, userTimeout);
    if (fastOpen >= 0) writeFastOpen(bytes, headroom + cookieAt, this.fastOpenCookie, fastOpen);
    if (payload !== null) payload.copyTo(0, length, bytes, headroom + headerLength);
    leaveChecksum(page, pair, total);
    this.#choices.source = pair.local;
    this.#choices.dontFragment = true;
    this.#choices.ecn = notCapable;
    this.#counters.segmentsSent++;
    return this.#ip.send(pair.remote, protocolTcp, page, headroom, total, this.#choices);
  }

  /** Sends a reset; `flags` may add ACK. */
  reset(pair: EndpointPair, flags: number, sequence: number, acknowledgement: number): void {
    this.#counters.resetsSent++;
    this.segment(pair, flagRst | flags, sequence, acknowledgement, 0, false, 0, 0, null, 0, 0, 0, true, notCapable);
  }
}
