import type { IpAddress, MacAddress } from "./address.ts";

/** Resolves IPv4 addresses on the link (RFC 826), with conflict detection (RFC 5227). */
export interface Arp {
  /** The address for `ip` if it is known now; starts no query and allocates nothing. */
  lookup(ip: IpAddress): MacAddress | undefined;

  /**
   * Resolves `ip`, asking on the link up to a bounded number of times. Queries for one address are shared.
   *
   * @throws ArpTimeoutError (rejects) when nobody answers, or when the table of pending queries is full.
   */
  query(ip: IpAddress): Promise<MacAddress>;

  /**
   * Takes `ip` as our own: probes for conflicts, then announces (RFC 5227 §2.1, §2.3). From then on requests are
   * answered and the address is defended.
   *
   * When another host uses it later, it is defended and kept (RFC 5227 §2.4 c); with `onLost` it is defended once, and
   * given up when that does not help within ten seconds (§2.4 b): then `onLost` is called.
   *
   * @returns whether the address is ours now; false when another host uses it.
   */
  claim(
    ip: IpAddress,
    options?: { readonly probe?: boolean; readonly onLost?: (() => void) | undefined },
  ): Promise<boolean>;

  /** Stops answering for `ip`. */
  yield(ip: IpAddress): void;
}

/** No answer to an ARP query. */
export class ArpTimeoutError extends Error {
  override readonly name = "ArpTimeoutError";
  readonly ip: IpAddress;

  constructor(ip: IpAddress) {
    super(`no answer to ARP for ${ip.toString()}`);
    this.ip = ip;
  }
}
