import type { SwitchPort } from "./switch.ts";

const ethernetHeader = 14;
const arpType = 0x0806;
/** Addresses known of a LAN; what is asked about others is flooded. */
const mostAddresses = 65_536;
/** Ports noted for one address; with more of them its frames are flooded. */
const mostPorts = 4096;

/** What is known of one IPv4 address. */
class Known {
  /** Where somebody said that it is his: one port, unless there is a conflict. */
  readonly owners = new Set<SwitchPort>();
  /** Where somebody has heard of it, and may remember it. */
  readonly hearers = new Set<SwitchPort>();
}

/**
 * ARP snooping, as big switches do it: a broadcast about an address goes to those whom it can concern, and not to the
 * whole LAN. Without it a LAN of n hosts that start costs n² frames.
 *
 * Whom it can concern: those who have claimed the address asked for, or the one of whoever asks; and those who have heard
 * of the latter, because they may remember it. What nobody has claimed is flooded.
 */
export class ArpSnooping {
  readonly #known = new Map<number, Known>();

  /** To which ports a broadcast goes, or undefined: to all. Learns from it. */
  recipients(bytes: Uint8Array, offset: number, length: number, from: SwitchPort): ReadonlySet<SwitchPort> | undefined {
    if (!isArp(bytes, offset, length)) return undefined;
    const sender = word(bytes, offset + ethernetHeader + 14);
    const target = word(bytes, offset + ethernetHeader + 24);
    const source = this.#learn(sender, from);
    const owners = target === sender ? source?.owners : this.#known.get(target)?.owners;
    if (owners === undefined || (target !== sender && owners.size === 0)) return undefined;
    if ((source?.hearers.size ?? 0) >= mostPorts) return undefined;
    const ports = new Set<SwitchPort>([
      ...owners,
      ...(source === undefined ? [] : [...source.owners, ...source.hearers]),
    ]);
    ports.delete(from);
    if (source !== undefined) for (const port of ports) source.hearers.add(port);
    return ports;
  }

  /** A frame goes out to one port. */
  forwarded(bytes: Uint8Array, offset: number, length: number, from: SwitchPort, to: SwitchPort): void {
    if (isArp(bytes, offset, length)) {
      this.#learn(word(bytes, offset + ethernetHeader + 14), from)?.hearers.add(to);
    }
  }

  #learn(address: number, port: SwitchPort): Known | undefined {
    // A probe's sender has no address yet (RFC 5227 §1.1).
    if (address === 0) return undefined;
    let known = this.#known.get(address);
    if (known === undefined) {
      if (this.#known.size >= mostAddresses) return undefined;
      known = new Known();
      this.#known.set(address, known);
    }
    if (known.owners.size < mostPorts) known.owners.add(port);
    return known;
  }
}

function isArp(bytes: Uint8Array, offset: number, length: number): boolean {
  return length >= ethernetHeader + 28 && (((bytes[offset + 12] ?? 0) << 8) | (bytes[offset + 13] ?? 0)) === arpType;
}

function word(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
}
