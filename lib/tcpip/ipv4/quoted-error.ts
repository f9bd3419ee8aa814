import type { IpAddress } from "@tesserae/device/address";
import type { Timers } from "@tesserae/device/clock";
import type { IpError } from "@tesserae/device/ip";
import type { InternedAddresses } from "./interned-address.ts";
import type { Interfaces } from "./interfaces.ts";
import type { Ipv4Output } from "./output.ts";
import type { Ipv4Statistics } from "./statistics.ts";
import { ipv4 } from "./wire.ts";

export interface QuotedErrorOptions {
  readonly interfaces: Interfaces;
  readonly output: Ipv4Output;
  readonly interned: InternedAddresses;
  readonly statistics: Ipv4Statistics;
  readonly timers: Timers;
}

/**
 * Whether `bytes[offset … offset + length)` quotes a packet of ours: only the beginning of one, with eight bytes of its
 * transport header, says whose it was.
 */
export function isQuoteOfOurs(interfaces: Interfaces, bytes: Uint8Array, offset: number, length: number): boolean {
  if (length < ipv4.size) return false;
  const { field } = ipv4;
  const header = field.headerLength.get(bytes, offset) * 4;
  return (
    field.version.get(bytes, offset) === 4 &&
    header >= ipv4.size &&
    length >= header + 8 &&
    interfaces.owner(field.source.word(bytes, offset)) !== undefined &&
    field.fragmentOffset.get(bytes, offset) === 0
  );
}

/** Hands errors to the transport whose packet they quote, and believes them as far as the quote proves something. */
export class QuotedErrors {
  readonly #interfaces: Interfaces;
  readonly #output: Ipv4Output;
  readonly #interned: InternedAddresses;
  readonly #statistics: Ipv4Statistics;
  readonly #timers: Timers;
  readonly #handlers: (((error: IpError) => void) | undefined)[] = new Array<undefined>(256).fill(undefined);

  constructor(options: QuotedErrorOptions) {
    this.#interfaces = options.interfaces;
    this.#output = options.output;
    this.#interned = options.interned;
    this.#statistics = options.statistics;
    this.#timers = options.timers;
  }

  listen(protocol: number, handler: (error: IpError) => void): void {
    this.#handlers[protocol] = handler;
  }

  /**
   * Takes an error that quotes the packet at `bytes[offset … offset + length)`.
   *
   * @param remote whether it came over a link, and may be a lie
   */
  deliver(
    kind: IpError["kind"],
    mtu: number,
    reporter: IpAddress,
    bytes: Uint8Array,
    offset: number,
    length: number,
    remote: boolean,
  ): void {
    const field = ipv4.field;
    if (!isQuoteOfOurs(this.#interfaces, bytes, offset, length)) {
      this.#statistics.implausibleErrors++;
      return;
    }
    const header = field.headerLength.get(bytes, offset) * 4;
    const target = field.destination.word(bytes, offset);
    const protocol = field.protocol.get(bytes, offset);
    if (remote && kind === "packet-too-big") this.#lowerPathMtu(target, protocol, mtu, bytes, offset);
    this.#handlers[protocol]?.({
      kind,
      mtu,
      reporter,
      source: this.#interned.get(field.source.word(bytes, offset)),
      destination: this.#interned.get(target),
      bytes,
      offset: offset + header,
      length: length - header,
    });
  }

  #lowerPathMtu(target: number, protocol: number, mtu: number, bytes: Uint8Array, offset: number): void {
    const field = ipv4.field;
    const { ids, pathMtu } = this.#output;
    // RFC 5927 §4.1: the quote must show what only somebody on the path can have seen. Packets that forbid
    // fragmentation carry an identification that follows from a secret.
    if (
      !field.dontFragment.get(bytes, offset) ||
      field.identification.get(bytes, offset) !== ids.atomic(target, protocol) ||
      this.#interfaces.isLocal(target)
    ) {
      this.#statistics.implausibleErrors++;
      return;
    }
    const now = this.#timers.now();
    const destination = this.#interned.get(target);
    const current = this.#output.mtu(destination);
    // A router behind a device that cuts our segments may quote them uncut.
    const mayBeUncut = (this.#output.interfaceTo(destination)?.link.ethernet.features.maxSegmentation ?? 0) > 0;
    const quoted = field.totalLength.get(bytes, offset);
    if (pathMtu.lower(target, mtu, mayBeUncut ? Math.min(quoted, current) : quoted, current, now)) {
      this.#statistics.pathMtuLowered++;
    }
  }
}
