/**
 * Reassembly of IPv4 fragments (RFC 791 §3.2, RFC 1122 §3.3.2), for a world with hostile fragments in it.
 *
 * Bounded in datagrams, in fragments of each, in datagrams of one source, and in time. A fragment that overlaps another
 * with different bytes condemns the whole datagram (what RFC 5722 asks of IPv6), which then swallows the rest of its
 * fragments until its time is up. First fragments too short to show a transport header, and second ones placed to
 * overwrite it, are refused (RFC 1858, RFC 3128).
 */

import { protocolTcp } from "@tesserae/device/ip";
import { checksum } from "@tesserae/wire/checksum";
import { type ReassemblyOptions, ReassemblySlot, ReassemblySlots } from "../ip/reassembly-slots.ts";
import { copyBytes } from "@tesserae/wire/copy-bytes";
import { ipv4 } from "./wire.ts";

/** Where the payload begins in a slot's page: behind the longest header. */
const payloadStart = 60;

/** A datagram in reassembly; when complete, what it was put together to: without the first one's options lost. */
export class ReassembledDatagram extends ReassemblySlot {
  source = 0;
  destination = 0;
  protocol = 0;
  identification = 0;

  constructor(mostFragments: number) {
    super(payloadStart, mostFragments);
  }

  override isFromSourceOf(other: ReassembledDatagram): boolean {
    return this.source === other.source;
  }
}

export class Reassembler extends ReassemblySlots<ReassembledDatagram> {
  /** @throws RangeError when an option is out of range. */
  constructor(options: ReassemblyOptions = {}) {
    super(options, 30_000);
  }

  /**
   * Takes one fragment, whose header at `bytes[header …)` has been checked.
   *
   * @returns the datagram when this was its last missing piece: valid until the next call of `add`, after which the
   * slot is used again.
   */
  add(bytes: Uint8Array, header: number, now: number): ReassembledDatagram | undefined {
    this.statistics.fragments++;
    const headerLength = ipv4.field.headerLength.get(bytes, header) * 4;
    const length = ipv4.field.totalLength.get(bytes, header) - headerLength;
    const start = ipv4.field.fragmentOffset.get(bytes, header) * 8;
    const more = ipv4.field.moreFragments.get(bytes, header);
    const protocol = ipv4.field.protocol.get(bytes, header);
    if (refuse(protocol, start, length, more)) {
      this.statistics.refused++;
      return undefined;
    }
    const slot = this.#slot(
      ipv4.field.source.word(bytes, header),
      ipv4.field.destination.word(bytes, header),
      protocol,
      ipv4.field.identification.get(bytes, header),
      now,
    );
    const payload = header + headerLength;
    if (!this.place(slot, start, start + length, more, ipv4.field.ecn.get(bytes, header), bytes, payload)) {
      return undefined;
    }
    if (start === 0) {
      slot.headerOffset = payloadStart - headerLength;
      copyBytes(bytes, header, slot.page.bytes, slot.headerOffset, headerLength);
    }
    return this.complete(slot, finish);
  }

  protected override make(mostFragments: number): ReassembledDatagram {
    return new ReassembledDatagram(mostFragments);
  }

  #slot(
    source: number,
    destination: number,
    protocol: number,
    identification: number,
    now: number,
  ): ReassembledDatagram {
    let sibling: ReassembledDatagram | undefined;
    let ofSource = 0;
    for (const slot of this.slots) {
      if (slot.deadline === 0 || slot.source !== source) continue;
      sibling = slot;
      ofSource++;
      if (slot.identification === identification && slot.destination === destination && slot.protocol === protocol) {
        return slot;
      }
    }
    const slot = this.open(ofSource, sibling, now);
    slot.source = source;
    slot.destination = destination;
    slot.protocol = protocol;
    slot.identification = identification;
    return slot;
  }
}

/** Whether a fragment is wrong by itself. */
function refuse(protocol: number, start: number, length: number, more: boolean): boolean {
  if (length === 0 || start + length > 65_535 - ipv4.size) return true;
  if (more && (length & 7) !== 0) return true;
  // RFC 1858 §3.2.2, RFC 3128 §2: the fixed TCP header comes whole in the first fragment or not at all.
  if (protocol === protocolTcp) return start === 0 ? length < 20 : start < 20;
  return start === 0 && more && length < 8;
}

/** Makes the header that of the whole packet. False when the whole is longer than a packet can be. */
function finish(slot: ReassembledDatagram): boolean {
  const bytes = slot.page.bytes;
  const header = slot.headerOffset;
  const headerLength = payloadStart - header;
  if (slot.length + headerLength > 65_535) return false;
  if (slot.ecn < 0) return false;
  if (slot.ecn > 0) ipv4.field.ecn.set(bytes, header, slot.ecn);
  ipv4.field.totalLength.set(bytes, header, headerLength + slot.length);
  ipv4.field.moreFragments.set(bytes, header, false);
  ipv4.field.checksum.set(bytes, header, 0);
  ipv4.field.checksum.set(bytes, header, checksum(bytes, header, headerLength));
  slot.page.reset();
  return true;
}
