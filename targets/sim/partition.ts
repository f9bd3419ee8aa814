import { MacAddress, type IpAddress } from "@tesserae/device/address";
import type { Host } from "./host.ts";
import { sourceAddress } from "./packet.ts";

/** The MAC address of the interface of that number: a locally administered one. */
export function macOf(interfaceId: number): MacAddress {
  return new MacAddress(0x0200, interfaceId + 1);
}

/** The number of the interface whose MAC address lies there, or −1: the scenario's frames have what it likes. */
function interfaceOf(bytes: Uint8Array, offset: number): number {
  if (bytes[offset] !== 0x02 || bytes[offset + 1] !== 0) return -1;
  const high = (bytes[offset + 2] ?? 0) * 0x1000000;
  return high + (((bytes[offset + 3] ?? 0) << 16) | ((bytes[offset + 4] ?? 0) << 8) | (bytes[offset + 5] ?? 0)) - 1;
}

/** A cut through the network between groups of hosts. */
export class Partition {
  /** As in `partition a b | c`, or `a > b` when it is one way only. */
  readonly text: string;
  readonly #owner: Partitions;
  /** By the host's index: its group, from 0 on. Hosts in no group are not affected. */
  readonly #groups = new Map<number, number>();
  /** Only frames from the first group to the others are dropped. */
  readonly #oneWay: boolean;

  constructor(owner: Partitions, groups: readonly (readonly Host[])[], oneWay: boolean) {
    this.#owner = owner;
    this.#oneWay = oneWay;
    const names = groups.map((hosts) => hosts.map((host) => host.name).join(" "));
    this.text = `partition ${names.join(oneWay ? " > " : " | ")}`;
    for (const [group, hosts] of groups.entries()) {
      for (const host of hosts) {
        if (this.#groups.has(host.index)) throw new RangeError(`host "${host.name}" is in two groups of a partition`);
        this.#groups.set(host.index, group);
      }
    }
  }

  /** Whether what the host of the first index sends does not get to the other. */
  separates(from: number, to: number): boolean {
    const sender = this.#groups.get(from);
    if (sender === undefined || (this.#oneWay && sender !== 0)) return false;
    const receiver = this.#groups.get(to);
    return receiver !== undefined && receiver !== sender;
  }

  /** Ends it. Idempotent. */
  heal(): void {
    this.#owner.remove(this);
  }
}

/** The partitions of a world that hold now. */
export class Partitions {
  readonly #active: Partition[] = [];
  /** By the number of an interface: the index of its host. */
  readonly #owners: number[] = [];
  /** By address: the index of the host that had it last. */
  readonly #addresses = new Map<string, number>();
  readonly #changed: (text: string, on: boolean) => void;

  /** @param changed is told in words when one begins or ends */
  constructor(changed: (text: string, on: boolean) => void) {
    this.#changed = changed;
  }

  /** Says whose the interface of that number is. Its MAC address follows from the number ({@link macOf}). */
  own(interfaceId: number, host: number): void {
    this.#owners[interfaceId] = host;
  }

  /** Says whose an address is. */
  ownAddress(address: IpAddress, host: number): void {
    this.#addresses.set(address.toString(), host);
  }

  /** Whether there is none. */
  get none(): boolean {
    return this.#active.length === 0;
  }

  add(groups: readonly (readonly Host[])[], oneWay: boolean): Partition {
    if (groups.length < 2) throw new RangeError(`a partition needs two groups of hosts, not ${groups.length}`);
    const partition = new Partition(this, groups, oneWay);
    this.#active.push(partition);
    this.#changed(partition.text, true);
    return partition;
  }

  remove(partition: Partition): void {
    const index = this.#active.indexOf(partition);
    if (index < 0) return;
    this.#active.splice(index, 1);
    this.#changed(partition.text, false);
  }

  heal(): void {
    for (const partition of [...this.#active]) partition.heal();
  }

  /**
   * Whether a frame, or the IP packet in it, is from a host that is cut off from the host of the index `to`: what a
   * router passes on is its own frame, and another's packet.
   */
  cutsOff(bytes: Uint8Array, offset: number, length: number, to: number): boolean {
    if (length < 14) return false;
    const from = this.#owners[interfaceOf(bytes, offset + 6)];
    if (from !== undefined && this.#separates(from, to)) return true;
    const source = sourceAddress(bytes, offset, length);
    const sender = source === undefined ? undefined : this.#addresses.get(source.toString());
    return sender !== undefined && this.#separates(sender, to);
  }

  #separates(from: number, to: number): boolean {
    for (const partition of this.#active) if (partition.separates(from, to)) return true;
    return false;
  }
}
