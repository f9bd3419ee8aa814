import type { IpAddress } from "./address.ts";
import type { Tcp } from "./tcp.ts";
import type { Udp } from "./udp.ts";

/** A host's transport services: what most applications need of a network. */
export interface Stack {
  readonly tcp: Tcp;
  readonly udp: Udp;

  /** Our addresses now, the preferred one first, loopback left out. */
  readonly addresses: readonly IpAddress[];

  /** Aborts every flow, closes every listener and socket, and gives addresses back (DHCP release). Idempotent. */
  close(): Promise<void>;
}
