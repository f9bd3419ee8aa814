import type { FrameEvent, Observer } from "./event.ts";

const finBit = 1;
const synBit = 2;
const rstBit = 4;
const ackBit = 16;

/** One direction of a connection, by what its sender has put on the wire. */
class Direction {
  /** Behind the highest number sent. */
  max = 0;
  /** The sender's FIN was seen, at this number. */
  fin = -1;
  hasAck = false;
  /** The highest acknowledgement, and the highest right edge of a window offered. */
  ack = 0;
  edge = 0;
  /** The window scale in the sender's SYN, −1 without one. */
  shift = -1;
  /** The number of the sender's SYN, and of the SYN that its peer answered it with. */
  readonly initial: number;
  hasAnswer = false;
  answer = 0;
  /** False once the SYN was answered with two numbers: only the peer knows which of them it goes by. */
  isFollowed = true;
  /** What was sent from `bytesFrom` to `max`, as far as it is not acknowledged. */
  bytes: Uint8Array = new Uint8Array(0);
  bytesFrom = 0;
  length = 0;

  constructor(sequence: number) {
    this.initial = sequence;
    this.max = (sequence + 1) | 0;
    this.bytesFrom = this.max;
  }

  /** Forgets what was sent before: there is a gap. */
  restart(sequence: number): void {
    this.bytesFrom = sequence;
    this.length = 0;
  }

  /** Takes payload at `sequence`. @returns whether what was sent before with the same numbers is the same. */
  take(sequence: number, from: Uint8Array, at: number, length: number): boolean {
    let skip = (this.bytesFrom - sequence) | 0;
    if (skip < 0) skip = 0;
    for (let index = skip; index < length; index++) {
      const where = (sequence + index - this.bytesFrom) | 0;
      if (where < this.length) {
        if (this.bytes[where] !== from[at + index]) return false;
        continue;
      }
      const rest = length - index;
      this.#reserve(where + rest);
      this.bytes.set(from.subarray(at + index, at + length), where);
      this.length = where + rest;
      break;
    }
    return true;
  }

  /** The peer acknowledges up to `ack`: what is below cannot be asked for again. */
  acknowledged(ack: number): void {
    const gone = (ack - this.bytesFrom) | 0;
    if (gone <= 0) return;
    // Copying what is left is rare when it waits until half is gone.
    if (gone < this.length && gone * 2 < this.bytes.length) return;
    this.bytes.copyWithin(0, Math.min(gone, this.length), this.length);
    this.length = Math.max(0, this.length - gone);
    this.bytesFrom = ack;
    if (this.length === 0 && this.bytes.length > 65_536) this.bytes = new Uint8Array(0);
  }

  #reserve(length: number): void {
    if (this.bytes.length >= length) return;
    let size = Math.max(4096, this.bytes.length);
    while (size < length) size *= 2;
    const grown = new Uint8Array(size);
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }
}

/** Directions followed at once. Beyond it the oldest is forgotten. */
const mostDirections = 200_000;

/**
 * Follows every TCP connection on the wire from its SYN on, and finds what no TCP may do, whatever its state: a segment
 * that acknowledges what was never sent; an acknowledgement or the right edge of a window that moves back; data
 * beyond the edge of the peer's window, behind its own FIN, or other than when it was sent first.
 *
 * Looks at what hosts of one interface send under an address of their own: a router passes on what others have sent.
 */
export class WireAudit implements Observer {
  readonly #isAudited: (interfaceId: number, bytes: Uint8Array, source: number, size: number) => boolean;
  readonly #directions = new Map<string, Direction>();
  #problem: string | undefined = undefined;
  /** Segments looked at. */
  segments = 0;

  /** @param isAudited whether an interface's host is followed, and has the address `bytes[source … + size)` */
  constructor(isAudited: (interfaceId: number, bytes: Uint8Array, source: number, size: number) => boolean) {
    this.#isAudited = isAudited;
  }

  /** The first thing that was wrong. */
  get problem(): string | undefined {
    return this.#problem;
  }

  frame(event: FrameEvent): void {
    if (event.kind !== "sent" || this.#problem !== undefined) return;
    const { bytes, offset, length } = event;
    const end = offset + length;
    const at = offset + 14;
    const type = ((bytes[offset + 12] ?? 0) << 8) | (bytes[offset + 13] ?? 0);
    let segment: number;
    let last: number;
    let source: number;
    let size: number;
    if (type === 0x0800) {
      segment = at + ((bytes[at] ?? 0) & 15) * 4;
      last = at + (((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0));
      const fragment = (((bytes[at + 6] ?? 0) & 0x3f) << 8) | (bytes[at + 7] ?? 0);
      if (bytes[at + 9] !== 6 || fragment !== 0) return;
      source = at + 12;
      size = 4;
    } else if (type === 0x86dd) {
      segment = at + 40;
      last = segment + (((bytes[at + 4] ?? 0) << 8) | (bytes[at + 5] ?? 0));
      if (bytes[at + 6] !== 6) return;
      source = at + 8;
      size = 16;
    } else return;
    if (last > end || segment + 20 > last || !this.#isAudited(event.interfaceId, bytes, source, size)) return;
    this.#segment(event, bytes, source, size, segment, last);
  }

  #segment(event: FrameEvent, bytes: Uint8Array, source: number, size: number, at: number, end: number): void {
    this.segments++;
    const from = endpoint(bytes, source, size, at);
    const to = endpoint(bytes, source + size, size, at + 2);
    const flags = bytes[at + 13] ?? 0;
    const sequence = word(bytes, at + 4);
    const key = `${from}>${to}`;
    if ((flags & synBit) !== 0) {
      this.#syn(key, `${to}>${from}`, flags, sequence, bytes, at, end);
      return;
    }
    const own = this.#directions.get(key);
    if (own === undefined) return;
    if ((flags & rstBit) !== 0) {
      this.#directions.delete(key);
      return;
    }
    if (!own.isFollowed) return;
    const payload = at + ((bytes[at + 12] ?? 0) >> 4) * 4;
    const other = this.#directions.get(`${to}>${from}`);
    const peer = other?.isFollowed === true ? other : undefined;
    const problem = this.#follow(own, peer, flags, sequence, bytes, at, payload, end);
    if (problem !== undefined)
      this.#problem = `${event.place} sends frame ${event.frame} (${readable(key)}): ${problem}`;
  }

  /**
   * A SYN begins a direction; sent again it changes nothing. The answer to one SYN may come with two numbers, when the
   * host that answers has crashed meanwhile, or answers with cookies (RFC 4987 §3.6): the peer may have taken either,
   * and such a connection is not followed.
   */
  #syn(key: string, other: string, flags: number, sequence: number, bytes: Uint8Array, at: number, end: number): void {
    const known = this.#directions.get(key);
    if (known !== undefined && known.max === ((sequence + 1) | 0)) return;
    // Data that came with the SYN would have to be followed from here.
    const own = new Direction(sequence);
    own.shift = windowScale(bytes, at + 20, at + ((bytes[at + 12] ?? 0) >> 4) * 4);
    own.max = (own.max + end - at - ((bytes[at + 12] ?? 0) >> 4) * 4) | 0;
    this.#directions.delete(key);
    this.#directions.set(key, own);
    // A new connection of its sender: what the peer has said is about the old one. It may answer with a SYN, or not.
    if ((flags & ackBit) === 0) this.#directions.delete(other);
    else {
      own.hasAck = true;
      own.ack = word(bytes, at + 8);
      own.edge = (own.ack + (((bytes[at + 14] ?? 0) << 8) | (bytes[at + 15] ?? 0))) | 0;
      const peer = this.#directions.get(other);
      if (peer !== undefined && own.ack === ((peer.initial + 1) | 0)) {
        if (peer.hasAnswer && peer.answer !== sequence) peer.isFollowed = false;
        peer.hasAnswer = true;
        peer.answer = sequence;
        own.isFollowed = peer.isFollowed;
      }
    }
    if (this.#directions.size > mostDirections) {
      const oldest = this.#directions.keys().next();
      if (oldest.done !== true) this.#directions.delete(oldest.value);
    }
  }

  #follow(
    own: Direction,
    peer: Direction | undefined,
    flags: number,
    sequence: number,
    bytes: Uint8Array,
    at: number,
    payload: number,
    end: number,
  ): string | undefined {
    const length = end - payload;
    const last = (sequence + length) | 0;
    if (length > 0) {
      // What is missing before it was lost inside the host: no page, nobody knew the next hop yet.
      if (((sequence - own.max) | 0) > 0) own.restart(sequence);
      if (own.fin >= 0 && ((last - finNumber(own)) | 0) > 0) return "data behind its own FIN";
      // One byte beyond the edge may be a probe of a shut window.
      const beyond = peer === undefined || !peer.hasAck ? 0 : (last - peer.edge) | 0;
      if (beyond > 1) return `${beyond} bytes beyond the edge of its peer's window`;
      if (!own.take(sequence, bytes, payload, length)) return "other bytes than when they were sent first";
      if (((last - own.max) | 0) > 0) own.max = last;
    }
    if ((flags & finBit) !== 0) {
      if (own.fin < 0) own.fin = last >>> 0;
      else if (finNumber(own) !== last) return "a FIN with another number than before";
      if (((last + 1 - own.max) | 0) > 0) own.max = (last + 1) | 0;
    }
    if ((flags & ackBit) === 0) return undefined;
    const ack = word(bytes, at + 8);
    if (peer !== undefined) {
      if (((ack - peer.max) | 0) > 0) return `acknowledges ${(ack - peer.max) | 0} bytes that were never sent`;
      peer.acknowledged(ack);
    }
    const window = ((bytes[at + 14] ?? 0) << 8) | (bytes[at + 15] ?? 0);
    const shift = own.shift >= 0 && peer !== undefined && peer.shift >= 0 ? own.shift : 0;
    const edge = (ack + window * 2 ** shift) | 0;
    const back = own.hasAck ? (own.ack - ack) | 0 : 0;
    if (back > 0) return `its acknowledgement moves back by ${back}`;
    // Once the peer has ended, its window means nothing any more.
    const isOver = peer !== undefined && peer.fin >= 0 && ((ack - finNumber(peer)) | 0) > 0;
    const shrunk = own.hasAck && !isOver && peer !== undefined ? (own.edge - edge) | 0 : 0;
    // What a scaled window cannot tell is rounded down (RFC 7323 §2.4).
    if (shrunk >= 2 ** shift) return `the right edge of its window moves back by ${shrunk}`;
    own.hasAck = true;
    own.ack = ack;
    if (shrunk <= 0) own.edge = edge;
    return undefined;
  }
}

function finNumber(direction: Direction): number {
  return direction.fin | 0;
}

function word(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
}

/** The shift in a SYN's options (RFC 7323 §2.2), −1 without. */
function windowScale(bytes: Uint8Array, from: number, end: number): number {
  for (let at = from; at < end;) {
    const kind = bytes[at] ?? 0;
    if (kind === 0) return -1;
    if (kind === 1) {
      at++;
      continue;
    }
    if (kind === 3) return Math.min(14, bytes[at + 2] ?? 0);
    at += Math.max(2, bytes[at + 1] ?? 0);
  }
  return -1;
}

/** Address and port, as hexadecimal text. */
function endpoint(bytes: Uint8Array, address: number, size: number, port: number): string {
  let text = "";
  for (let index = 0; index < size; index += 4) text += `${(word(bytes, address + index) >>> 0).toString(16)}.`;
  return text + String(((bytes[port] ?? 0) << 8) | (bytes[port + 1] ?? 0));
}

/** `a000001.80>a000002.49152` for people. */
function readable(key: string): string {
  return key
    .split(">")
    .map((end) => {
      const [first = "", ...rest] = end.split(".");
      if (rest.length > 1) return end;
      const address = Number.parseInt(first, 16);
      return `${[24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join(".")}:${rest.join(":")}`;
    })
    .join(" > ");
}
