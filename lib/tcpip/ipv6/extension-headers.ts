/**
 * The chain of extension headers as a destination reads it (RFC 8200 §4), for a world in which chains are long on
 * purpose (RFC 8504 §5.3, RFC 7112, RFC 7045).
 */

import { nextDestination, nextFragment, nextHopByHop, nextNone, nextRouting } from "./wire.ts";

/** Extension headers of one packet. */
export const mostHeaders = 8;
/** Their bytes together: more would not leave a first fragment room for anything else. */
export const mostChainBytes = 512;
/** Options, padding left out, in one header (RFC 8504 §5.3: 8). */
const mostOptions = 8;
/** Bytes of padding in a row (RFC 8504 §5.3: a PadN is at most 7 long, and paddings are not repeated). */
const mostPadding = 7;

/**
 * What becomes of the packet. `upper`: it has a transport header. `fragment`: the chain goes on once it is whole.
 * `drop`: nobody is told. `problem`: its sender is told, with the code and the pointer.
 */
export type ChainVerdict = "upper" | "fragment" | "drop" | "problem";

/** Codes of "parameter problem" (RFC 4443 §3.4, RFC 7112 §6, RFC 8883 §3). */
export const codeHeaderField = 0;
export const codeNextHeader = 1;
export const codeOption = 2;
export const codeFirstFragment = 3;
const codeTooBig = 6;
const codeChainTooLong = 7;
const codeTooManyHeaders = 8;
const codeTooManyOptions = 9;

const optionPad1 = 0;
const optionPadN = 1;
const optionRouterAlert = 5;

/** What {@link ChainReader.read} found, overwritten by the next packet. */
export class ChainReader {
  /** With `upper`: the transport protocol; with `fragment`: the number of the header behind the fragment header. */
  protocol = 0;
  /** Where the transport header, or the fragment header, begins. */
  offset = 0;
  /** Where the number of that header is written: what reassembly corrects. */
  namedAt = 0;
  /** With `problem`. */
  code = 0;
  /** With `problem`: bytes from the start of the packet to what is wrong. */
  pointer = 0;
  /** With `problem`: whether even a packet to a multicast group is answered (RFC 4443 §2.4 e.3). */
  answerMulticast = false;
  /** Whether there was a router alert (RFC 2711), as MLD requires. */
  routerAlert = false;
  /** Whether there was a fragment header, if only one that says that the packet is whole. */
  fragmented = false;

  /**
   * Reads the chain of the packet whose header, at `start`, has been checked.
   *
   * @param end behind the payload
   * @param multicast whether it was sent to a group: some problems are not told then
   */
  read(bytes: Uint8Array, start: number, end: number, multicast: boolean): ChainVerdict {
    let next = bytes[start + 6] ?? nextNone;
    let namedAt = start + 6;
    let at = start + 40;
    this.routerAlert = false;
    this.fragmented = false;
    for (let headers = 0; ; headers++) {
      this.protocol = next;
      this.offset = at;
      this.namedAt = namedAt;
      if (next !== nextHopByHop && next !== nextDestination && next !== nextRouting && next !== nextFragment) {
        return next === nextNone ? "drop" : "upper";
      }
      // RFC 8200 §4.1: hop-by-hop options come first or not at all.
      if (next === nextHopByHop && headers > 0) return this.#problem(codeNextHeader, namedAt - start);
      if (headers >= mostHeaders) return this.#problem(codeTooManyHeaders, namedAt - start);
      if (at + 8 > end) return this.#truncated(start, at);
      if (next === nextFragment) {
        this.fragmented = true;
        this.protocol = bytes[at] ?? nextNone;
        // RFC 6946: an atomic fragment is whole; whatever else has its identification has nothing to do with it.
        if ((((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0)) >>> 3 !== 0 || ((bytes[at + 3] ?? 0) & 1) !== 0) {
          return "fragment";
        }
        namedAt = at;
        next = this.protocol;
        at += 8;
        continue;
      }
      const size = ((bytes[at + 1] ?? 0) + 1) * 8;
      if (at + size > end) return this.#truncated(start, at);
      if (at + size - start - 40 > mostChainBytes) {
        return this.#problem(size > mostChainBytes ? codeTooBig : codeChainTooLong, at - start);
      }
      // RFC 8200 §4.4: a type that we do not know is passed over when nothing is left to visit, and type 0 has been
      // abolished (RFC 5095), so that we know none.
      if (next === nextRouting && (bytes[at + 3] ?? 0) !== 0) return this.#problem(codeHeaderField, at + 2 - start);
      if (next !== nextRouting) {
        const verdict = this.#readOptions(bytes, start, at, at + size, multicast);
        if (verdict !== "upper") return verdict;
      }
      namedAt = at;
      next = bytes[at] ?? nextNone;
      at += size;
    }
  }

  /** The options of one header; `upper` when none of them forbids to go on. */
  #readOptions(bytes: Uint8Array, start: number, header: number, end: number, multicast: boolean): ChainVerdict {
    let options = 0;
    let padding = 0;
    for (let at = header + 2; at < end;) {
      const type = bytes[at] ?? 0;
      const length = type === optionPad1 ? 1 : 2 + (bytes[at + 1] ?? 0);
      if (at + length > end || (type !== optionPad1 && at + 2 > end)) return this.#problem(codeHeaderField, at - start);
      if (type === optionPad1 || type === optionPadN) {
        padding += length;
        if (padding > mostPadding) return "drop";
        at += length;
        continue;
      }
      padding = 0;
      if (++options > mostOptions) return this.#problem(codeTooManyOptions, at - start);
      if (type === optionRouterAlert) {
        // RFC 2711 §2.1: exactly two bytes of value.
        if (length !== 4) return this.#problem(codeHeaderField, at + 1 - start);
        this.routerAlert = true;
      } else if (type >>> 6 !== 0) {
        // RFC 8200 §4.2: the two high bits say what is done about an option that one does not know.
        const action = type >>> 6;
        if (action === 1 || (action === 3 && multicast)) return "drop";
        return this.#problem(codeOption, at - start, action === 2);
      }
      at += length;
    }
    return "upper";
  }

  #truncated(start: number, at: number): ChainVerdict {
    return this.#problem(codeHeaderField, at - start);
  }

  #problem(code: number, pointer: number, answerMulticast = false): ChainVerdict {
    this.code = code;
    this.pointer = pointer;
    this.answerMulticast = answerMulticast;
    return "problem";
  }
}

/**
 * Whether a first fragment shows the whole chain and the beginning of a transport header (RFC 7112 §5).
 *
 * @param next the number of the header behind the fragment header
 */
export function isCompleteChain(bytes: Uint8Array, offset: number, end: number, next: number): boolean {
  let at = offset;
  let header = next;
  for (let headers = 0; headers <= mostHeaders; headers++) {
    if (header === nextNone) return true;
    if (header !== nextDestination && header !== nextRouting && header !== nextHopByHop && header !== nextFragment) {
      return at + leastHeader(header) <= end;
    }
    if (at + 8 > end) return false;
    const size = header === nextFragment ? 8 : ((bytes[at + 1] ?? 0) + 1) * 8;
    header = bytes[at] ?? nextNone;
    at += size;
  }
  return false;
}

/** Bytes of the shortest header of a transport protocol. */
function leastHeader(protocol: number): number {
  return protocol === 6 ? 20 : protocol === 17 || protocol === 58 ? 8 : 0;
}
