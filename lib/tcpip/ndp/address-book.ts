/**
 * The addresses of one interface: each is looked for on the link before it is used (RFC 4862 §5.4), is preferred, then
 * deprecated, then gone (§5.5.4).
 */

import type { IpAddress, Prefix } from "@tesserae/device/address";
import type { Timer, Timers } from "@tesserae/device/clock";
import type { Random } from "@tesserae/device/random";
import type { SourceCandidate } from "../ipv6/address-selection.ts";
import { readNonce } from "./wire.ts";

/** RFC 4861 §10: the first solicitation of a host that starts waits up to so many milliseconds. */
const mostDelay = 1000;
/** DupAddrDetectTransmits. */
const probes = 1;
/** Addresses of one interface. */
export const mostAddresses = 16;
/** Nonces of ours that are remembered: they can only come back at once. */
const mostNonces = 4;

export type AddressOrigin = "static" | "link-local" | "slaac" | "temporary";

/** One address, and what is known of it. */
export class InterfaceAddress implements SourceCandidate {
  readonly address: IpAddress;
  readonly prefixLength: number;
  readonly interface: number;
  readonly origin: AddressOrigin;
  /** Not ours yet: another host may have it. */
  isTentative = true;
  deprecated = false;
  /** Instants. */
  validUntil = Infinity;
  preferredUntil = Infinity;
  /** Private to the book. */
  probesLeft = probes;
  /** Private to the book: the next step of duplicate address detection, or `Infinity`. */
  deadline = Infinity;
  /** Private to the book: what our solicitations carried (RFC 7527 §4.1). */
  readonly nonces: number[] = [];
  /** Private to the book. */
  settle: (isOurs: boolean) => void = () => undefined;

  constructor(prefix: Prefix, interfaceIndex: number, origin: AddressOrigin) {
    this.address = prefix.address;
    this.prefixLength = prefix.length;
    this.interface = interfaceIndex;
    this.origin = origin;
  }

  get temporary(): boolean {
    return this.origin === "temporary";
  }
}

export interface AddressEvents {
  /** Solicitations for the address are to be heard from now on. */
  listen(address: IpAddress): void;
  /** They need not be heard any more. */
  forget(address: IpAddress): void;
  /** Asks the link whether anybody has the address, with a nonce of 48 bits. */
  probe(address: IpAddress, nonce: number): void;
  /** The address is ours now. */
  announce(address: IpAddress): void;
  /** The addresses that can be used are others now. */
  changed(): void;
  /** Another host has the address: it is gone from the book. */
  duplicate(entry: InterfaceAddress): void;
}

export interface NewAddress {
  readonly prefix: Prefix;
  readonly origin: AddressOrigin;
  /** Whether to look for other users of it first. */
  readonly probe: boolean;
  /** Instants; default: for ever. */
  readonly validUntil?: number;
  readonly preferredUntil?: number;
}

export class AddressBook {
  #entries: readonly InterfaceAddress[] = [];
  #assigned: readonly InterfaceAddress[] = [];
  readonly #interface: number;
  readonly #timers: Timers;
  readonly #random: Random;
  readonly #events: AddressEvents;
  readonly #timer: Timer;
  readonly #nonce = new Uint8Array(6);

  constructor(interfaceIndex: number, timers: Timers, random: Random, events: AddressEvents) {
    this.#interface = interfaceIndex;
    this.#timers = timers;
    this.#random = random;
    this.#events = events;
    this.#timer = timers.timer(() => this.#run());
  }

  /** All, tentative ones included. */
  get entries(): readonly InterfaceAddress[] {
    return this.#entries;
  }

  /** Those that can be used. */
  get assigned(): readonly InterfaceAddress[] {
    return this.#assigned;
  }

  get(address: IpAddress): InterfaceAddress | undefined {
    return this.#entries.find((each) => each.address.equals(address));
  }

  /**
   * Takes an address.
   *
   * @returns whether it is ours: false when another host has it, it was removed meanwhile, or there is no room.
   */
  add(made: NewAddress): Promise<boolean> {
    const known = this.get(made.prefix.address);
    if (known !== undefined || this.#entries.length >= mostAddresses) return Promise.resolve(known !== undefined);
    const entry = new InterfaceAddress(made.prefix, this.#interface, made.origin);
    entry.validUntil = made.validUntil ?? Infinity;
    entry.preferredUntil = made.preferredUntil ?? Infinity;
    const now = this.#timers.now();
    entry.deprecated = entry.preferredUntil <= now;
    this.#entries = [...this.#entries, entry];
    // Before the first question: switches that listen in pass it, and its answer, on to members only.
    this.#events.listen(entry.address);
    if (!made.probe) {
      this.#assign(entry);
      this.#arm();
      return Promise.resolve(true);
    }
    entry.deadline = now + (mostDelay * this.#random.uint32()) / 0x1_0000_0000;
    this.#arm();
    return new Promise((resolve) => {
      entry.settle = resolve;
    });
  }

  /** Says how long an address lasts from now on: instants. */
  extend(entry: InterfaceAddress, validUntil: number, preferredUntil: number): void {
    entry.validUntil = validUntil;
    entry.preferredUntil = preferredUntil;
    const wasDeprecated = entry.deprecated;
    entry.deprecated = preferredUntil <= this.#timers.now();
    if (entry.deprecated !== wasDeprecated) this.#changed();
    this.#arm();
  }

  remove(entry: InterfaceAddress): void {
    if (!this.#entries.includes(entry)) return;
    this.#entries = this.#entries.filter((each) => each !== entry);
    this.#events.forget(entry.address);
    entry.settle(false);
    if (!entry.isTentative) this.#changed();
  }

  /** Drops them all. */
  clear(): void {
    for (const entry of this.#entries) this.remove(entry);
    this.#timer.cancel();
  }

  /**
   * Another host has, or wants, an address of ours that is tentative (RFC 4862 §5.4.3, §5.4.4).
   *
   * @param nonce what its solicitation carried, or −1
   */
  conflict(entry: InterfaceAddress, nonce: number): void {
    // RFC 7527 §4.2: what carries our own nonce has come back to us on a loop.
    if (!entry.isTentative || (nonce >= 0 && entry.nonces.includes(nonce))) return;
    this.remove(entry);
    this.#events.duplicate(entry);
  }

  #assign(entry: InterfaceAddress): void {
    entry.isTentative = false;
    entry.deadline = Infinity;
    this.#changed();
    this.#events.announce(entry.address);
    entry.settle(true);
  }

  #changed(): void {
    this.#assigned = this.#entries.filter((each) => !each.isTentative);
    this.#events.changed();
  }

  #arm(): void {
    let next = Infinity;
    for (const each of this.#entries) {
      next = Math.min(next, each.deadline, each.validUntil, each.deprecated ? Infinity : each.preferredUntil);
    }
    this.#timer.set(next);
  }

  #run(): void {
    const now = this.#timers.now();
    for (const entry of this.#entries) {
      if (entry.validUntil <= now) {
        this.remove(entry);
        continue;
      }
      if (!entry.deprecated && entry.preferredUntil <= now) {
        entry.deprecated = true;
        this.#changed();
      }
      if (entry.deadline <= now) this.#step(entry, now);
    }
    this.#arm();
  }

  #step(entry: InterfaceAddress, now: number): void {
    if (entry.probesLeft === 0) {
      this.#assign(entry);
      return;
    }
    entry.probesLeft--;
    entry.deadline = now + mostDelay;
    this.#random.fill(this.#nonce);
    const nonce = readNonce(this.#nonce, 0);
    entry.nonces.push(nonce);
    if (entry.nonces.length > mostNonces) entry.nonces.shift();
    this.#events.probe(entry.address, nonce);
  }
}
