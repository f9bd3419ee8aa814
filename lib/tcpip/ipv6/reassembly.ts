/**
 * Reassembly of IPv6 fragments (RFC 8200 §4.5), for a world with hostile fragments in it.
 *
 * Bounded in datagrams, in fragments of each, in datagrams of one source, and in time. A fragment that overlaps another
 * condemns the whole datagram (RFC 5722), which then swallows the rest of its fragments until its time is up; the same
 * fragment again is passed over. Atomic fragments never come here (RFC 6946).
 */

import { IpAddress } from "@tesserae/device/address";
import { type ReassemblyOptions, ReassemblySlot, ReassemblySlots } from "../ip/reassembly-slots.ts";
import { copyBytes } from "@tesserae/wire/copy-bytes";
import { isCompleteChain, mostChainBytes } from "./extension-headers.ts";
import { fragment, ipv6 } from "./wire.ts";

/** Where the fragmentable part begins in a slot's page: behind the longest header and chain. */
const payloadStart = ipv6.size + mostChainBytes;
const mostBytes = 65_535;

/** A datagram in reassembly; when complete, what it was put together to. Its length is of the fragmentable part. */
export class ReassembledPacket extends ReassemblySlot {
  source: IpAddress = IpAddress.any6;
  destination: IpAddress = IpAddress.any6;
  identification = 0;
  /** The interface that it came in on. */
  interface = 0;

  constructor(mostFragments: number) {
    super(payloadStart, mostFragments);
  }

  override isFromSourceOf(other: ReassembledPacket): boolean {
    return this.source.equals(other.source);
  }

  /** Behind the last byte, from the start of the page. */
  get end(): number {
    return payloadStart + Math.max(0, this.length);
  }
}

/** What is wrong with a fragment: a "parameter problem" for its sender. */
export type FragmentProblem = "length" | "too-long" | "incomplete-chain";

export class Reassembler6 extends ReassemblySlots<ReassembledPacket> {
  /** After `add` gave `undefined`: what the sender is to be told, if anything. */
  problem: FragmentProblem | undefined;

  /** @throws RangeError when an option is out of range. */
  constructor(options: ReassemblyOptions = {}) {
    // RFC 8200 §4.5: 60 seconds.
    super(options, 60_000);
  }

  /**
   * Takes one fragment of the packet whose header is at `bytes[header …)` and whose fragment header, checked to be
   * there, is at `bytes[at …)`.
   *
   * @param namedAt where the number of the fragment header is written
   * @param end behind the fragment
   * @returns the packet when this was its last missing piece: valid until the next call of `add`.
   */
  add(
    bytes: Uint8Array,
    header: number,
    namedAt: number,
    at: number,
    end: number,
    interfaceIndex: number,
    now: number,
  ): ReassembledPacket | undefined {
    this.statistics.fragments++;
    this.problem = undefined;
    const start = fragment.field.fragmentOffset.get(bytes, at) * 8;
    const more = fragment.field.moreFragments.get(bytes, at);
    const length = end - at - fragment.size;
    const chain = at - header - ipv6.size;
    this.problem = refuse(bytes, at, end, start, more, chain);
    if (this.problem !== undefined || length === 0) {
      this.statistics.refused++;
      return undefined;
    }
    const slot = this.#slot(bytes, header, fragment.field.identification.get(bytes, at), interfaceIndex, now);
    const ecn = ipv6.field.ecn.get(bytes, header);
    if (!this.place(slot, start, start + length, more, ecn, bytes, at + fragment.size)) return undefined;
    if (start === 0) {
      // RFC 8200 §4.5: the headers of the first fragment are those of the packet, without the fragment header.
      const target = slot.page.bytes;
      slot.headerOffset = payloadStart - ipv6.size - chain;
      copyBytes(bytes, header, target, slot.headerOffset, ipv6.size + chain);
      target[slot.headerOffset + namedAt - header] = bytes[at] ?? 0;
    }
    return this.complete(slot, finish);
  }

  override expire(now: number): ReassembledPacket | undefined {
    const slot = super.expire(now);
    if (slot === undefined) return undefined;
    slot.length = slot.ranges.head;
    if (slot.hasFirst) setLength(slot);
    return slot;
  }

  protected override make(mostFragments: number): ReassembledPacket {
    return new ReassembledPacket(mostFragments);
  }

  #slot(
    bytes: Uint8Array,
    header: number,
    identification: number,
    interfaceIndex: number,
    now: number,
  ): ReassembledPacket {
    const field = ipv6.field;
    let sibling: ReassembledPacket | undefined;
    let ofSource = 0;
    for (const slot of this.slots) {
      if (slot.deadline === 0 || !field.source.equals(bytes, header, slot.source)) continue;
      sibling = slot;
      ofSource++;
      if (
        slot.identification === identification &&
        slot.interface === interfaceIndex &&
        field.destination.equals(bytes, header, slot.destination)
      ) {
        return slot;
      }
    }
    const slot = this.open(ofSource, sibling, now);
    slot.source = field.source.get(bytes, header);
    slot.destination = field.destination.get(bytes, header);
    slot.identification = identification;
    slot.interface = interfaceIndex;
    return slot;
  }
}

/** What is wrong with a fragment by itself (RFC 8200 §4.5, RFC 7112 §5). */
function refuse(
  bytes: Uint8Array,
  at: number,
  end: number,
  start: number,
  more: boolean,
  chain: number,
): FragmentProblem | undefined {
  const length = end - at - fragment.size;
  if (more && (length & 7) !== 0) return "length";
  if (start + length + chain > mostBytes) return "too-long";
  if (start === 0 && !isCompleteChain(bytes, at + fragment.size, end, bytes[at] ?? 0)) return "incomplete-chain";
  return undefined;
}

/** Makes the header that of the whole packet. False when no such packet can be. */
function finish(slot: ReassembledPacket): boolean {
  const bytes = slot.page.bytes;
  const header = slot.headerOffset;
  if (payloadStart - header - ipv6.size + slot.length > mostBytes) return false;
  if (slot.ecn < 0) return false;
  if (slot.ecn > 0) ipv6.field.ecn.set(bytes, header, slot.ecn);
  setLength(slot);
  slot.page.reset();
  return true;
}

function setLength(slot: ReassembledPacket): void {
  ipv6.field.payloadLength.set(
    slot.page.bytes,
    slot.headerOffset,
    payloadStart - slot.headerOffset - ipv6.size + slot.length,
  );
}
