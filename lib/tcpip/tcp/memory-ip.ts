/** A network layer without a network: for tests, and for measuring TCP alone. */

import type { IpAddress } from "@tesserae/device/address";
import type { Ip, IpError, IpHandler, IpPacket, IpSendOptions } from "@tesserae/device/ip";
import { headroom, needsChecksum, Page, PagePool } from "@tesserae/device/page";
import { protocolTcp } from "@tesserae/device/ip";
import { completeChecksum } from "@tesserae/wire/complete-checksum";

/** What becomes of a packet that was sent. */
export type PacketSink = (bytes: Uint8Array, offset: number, length: number, options: IpSendOptions) => void;

class MemoryPacket implements IpPacket {
  page: Page;
  offset = headroom;
  length = 0;
  source: IpAddress;
  destination: IpAddress;
  readonly protocol = protocolTcp;
  readonly hopLimit = 64;
  ecn = 0;
  readonly headerOffset = 0;
  readonly interface = 1;

  constructor(page: Page, source: IpAddress, destination: IpAddress) {
    this.page = page;
    this.source = source;
    this.destination = destination;
  }
}

/** One host's end of a path between two addresses. */
export class MemoryIp implements Ip {
  readonly addresses: readonly IpAddress[];
  readonly #peer: IpAddress;
  readonly #pool: PagePool;
  readonly #sink: PacketSink;
  readonly #packet: MemoryPacket;
  #handler: IpHandler | undefined = undefined;
  #errorHandler: ((error: IpError) => void) | undefined = undefined;
  /** Bytes, IP header included. */
  pathMtu: number;
  /** Whether there are pages to be had. */
  hasPages = true;

  constructor(local: IpAddress, peer: IpAddress, sink: PacketSink, pathMtu = 1500) {
    this.addresses = [local];
    this.#peer = peer;
    this.#sink = sink;
    this.pathMtu = pathMtu;
    this.#pool = new PagePool(16, headroom + 2048);
    this.#packet = new MemoryPacket(new Page(new Uint8Array(headroom + 65_536), 0), peer, local);
  }

  isLocal(address: IpAddress): boolean {
    return this.addresses.some((own) => own.equals(address));
  }

  source(destination: IpAddress): IpAddress | undefined {
    return destination.equals(this.#peer) ? this.addresses[0] : undefined;
  }

  mtu(): number {
    return this.pathMtu;
  }

  listen(_protocol: number, handler: IpHandler): void {
    this.#handler = handler;
  }

  listenErrors(_protocol: number, handler: (error: IpError) => void): void {
    this.#errorHandler = handler;
  }

  segmentation(): number {
    return 0;
  }

  allocate(): Page | undefined {
    return this.hasPages ? this.#pool.take() : undefined;
  }

  send(
    _destination: IpAddress,
    _protocol: number,
    page: Page,
    offset: number,
    length: number,
    options: IpSendOptions = {},
  ): boolean {
    if ((page.flags & needsChecksum) !== 0) completeChecksum(page.bytes, offset, length, 0, page.checksumOffset);
    const fits = length + 20 <= this.pathMtu || options.dontFragment !== true;
    if (fits) this.#sink(page.bytes, offset, length, options);
    this.#pool.release(page);
    return fits;
  }

  release(page: Page): void {
    this.#pool.release(page);
  }

  join(): number {
    return 0;
  }

  leave(): void {
    // There are no groups between two addresses.
  }

  /** Pages that are out: 0 when nothing is being sent. */
  get pagesOut(): number {
    return this.#pool.capacity - this.#pool.available;
  }

  /** Hands a packet of the peer to the transport. The bytes are copied first: a handler may not keep them. */
  deliver(bytes: Uint8Array, offset: number, length: number, source: IpAddress = this.#peer, ecn = 0): void {
    const packet = this.#packet;
    packet.page.bytes.set(bytes.subarray(offset, offset + length), headroom);
    packet.length = length;
    packet.source = source;
    packet.ecn = ecn;
    this.#handler?.(packet);
  }

  /** Hands over an ICMP error about a segment that began with `quoted`. */
  deliverError(kind: IpError["kind"], quoted: Uint8Array, mtu = 0): void {
    const [local] = this.addresses;
    if (local === undefined) return;
    const destination = this.#peer;
    const length = quoted.length;
    this.#errorHandler?.({
      kind,
      mtu,
      reporter: destination,
      source: local,
      destination,
      bytes: quoted,
      offset: 0,
      length,
    });
  }
}
