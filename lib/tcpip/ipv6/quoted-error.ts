import type { IpAddress } from "@tesserae/device/address";
import type { Timers } from "@tesserae/device/clock";
import type { IpError } from "@tesserae/device/ip";
import type { Destinations } from "./destinations.ts";
import type { InternedAddresses6 } from "./interned-address.ts";
import type { Ipv6Output } from "./output.ts";
import type { Ipv6Statistics } from "./statistics.ts";
import { fragment, ipv6, leastMtu, nextFragment } from "./wire.ts";

export interface QuotedError6Options {
  readonly destinations: Destinations;
  readonly output: Ipv6Output;
  readonly interned: InternedAddresses6;
  readonly statistics: Ipv6Statistics;
  readonly timers: Timers;
}

/** Finds out which packet of ours an ICMPv6 error is about, and tells its transport. */
export class QuotedErrors6 {
  readonly #options: QuotedError6Options;
  readonly #handlers: (((error: IpError) => void) | undefined)[] = new Array<undefined>(256).fill(undefined);

  constructor(options: QuotedError6Options) {
    this.#options = options;
  }

  listen(protocol: number, handler: (error: IpError) => void): void {
    this.#handlers[protocol] = handler;
  }

  /**
   * @param mtu with `packet-too-big`: the MTU reported
   * @param reporter who says so, `undefined` when it is we ourselves
   */
  deliver(
    kind: IpError["kind"],
    mtu: number,
    reporter: IpAddress | undefined,
    bytes: Uint8Array,
    offset: number,
    length: number,
  ): void {
    const { statistics, interned, destinations } = this.#options;
    if (length < ipv6.size + 8 || (bytes[offset] ?? 0) >>> 4 !== 6) {
      statistics.implausibleErrors++;
      return;
    }
    const source = interned.read(bytes, offset + 8);
    const destination = interned.read(bytes, offset + 24);
    let protocol = ipv6.field.nextHeader.get(bytes, offset);
    let at = offset + ipv6.size;
    let isFirst = true;
    // The one extension header that our packets have.
    if (protocol === nextFragment) {
      isFirst = fragment.field.fragmentOffset.get(bytes, at) === 0;
      protocol = fragment.field.nextHeader.get(bytes, at);
      at += fragment.size;
    }
    // Only the beginning of a transport header says whose packet it was.
    if (!isFirst || at + 8 > offset + length || destinations.owner(source) === undefined) {
      statistics.implausibleErrors++;
      return;
    }
    if (reporter !== undefined && kind === "packet-too-big") {
      // RFC 8201 §4: every link takes more, so whoever says this is no router on the path.
      if (mtu < leastMtu) {
        statistics.implausibleErrors++;
        return;
      }
      if (!this.#lowerPathMtu(source, destination, protocol, mtu, bytes, offset, at)) return;
    }
    this.#handlers[protocol]?.({
      kind,
      mtu,
      reporter: reporter ?? source,
      source,
      destination,
      bytes,
      offset: at,
      length: offset + length - at,
    });
  }

  #lowerPathMtu(
    source: IpAddress,
    destination: IpAddress,
    protocol: number,
    mtu: number,
    bytes: Uint8Array,
    offset: number,
    at: number,
  ): boolean {
    const { output, statistics, timers, destinations } = this.#options;
    // RFC 5927 §4.1: the quote must show what only somebody on the path can have seen. Our flow labels follow from a
    // secret.
    const label = output.labels.get(source, destination, protocol, bytes, at, 4);
    if (ipv6.field.flowLabel.get(bytes, offset) !== label) {
      statistics.implausibleErrors++;
      return false;
    }
    const quoted = ipv6.field.payloadLength.get(bytes, offset) + ipv6.size;
    const current = output.mtu(destination);
    // A router behind a device that cuts our segments may quote them uncut.
    const mayBeUncut = destinations.find(destination, 0, undefined)?.out.link.ethernet.features.segmentsIpv6 === true;
    const length = mayBeUncut ? Math.min(quoted, current) : quoted;
    if (output.pathMtu.lower(destination, mtu, length, current, timers.now())) statistics.pathMtuLowered++;
    return true;
  }
}
